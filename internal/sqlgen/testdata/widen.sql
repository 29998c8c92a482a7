ALTER TABLE "mart"."people" ALTER COLUMN "the ""name""" SET DATA TYPE VARCHAR USING CAST("the ""name""" AS VARCHAR)
