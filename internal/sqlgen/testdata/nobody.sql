UPDATE "mart"."people" AS t SET "_deleted" = true, "_synced_at" = now()
WHERE t."_deleted" IS NOT TRUE
