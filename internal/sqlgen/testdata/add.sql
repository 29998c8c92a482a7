ALTER TABLE "mart"."people" ADD COLUMN "worth" DECIMAL(20,6)
