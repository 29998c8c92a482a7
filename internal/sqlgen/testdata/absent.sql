UPDATE "mart"."people" AS t SET "_deleted" = true, "_synced_at" = now()
WHERE t."_deleted" IS NOT TRUE AND t."id" IN (1)
AND NOT EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" IS NOT DISTINCT FROM s."id")
