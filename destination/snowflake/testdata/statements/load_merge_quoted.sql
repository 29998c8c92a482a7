MERGE INTO "MART"."MARKETO"."people" AS t USING (
SELECT "id", "first_name", "active", "score", "worth", "born", "updated_at", COALESCE(TRY_PARSE_JSON("more"), TO_VARIANT("more")) AS "more", "photo", "_MARTSYNC_KIND" = 1 AS "_MARTSYNC_DEAD"
FROM "MART"."MARKETO"."_martsync_stg_people_13"
QUALIFY ROW_NUMBER() OVER (PARTITION BY "id" ORDER BY "updated_at" DESC NULLS LAST, "_MARTSYNC_SEQ" DESC) = 1
) AS s
ON t."id" = s."id" AND t."id" BETWEEN 7 AND 2000
WHEN MATCHED AND (t."updated_at" IS NULL OR s."updated_at" >= t."updated_at") THEN UPDATE SET "first_name" = s."first_name", "active" = s."active", "score" = s."score", "worth" = s."worth", "born" = s."born", "updated_at" = s."updated_at", "more" = s."more", "photo" = s."photo", "_synced_at" = '2026-02-03 04:05:06.789000'::TIMESTAMP_NTZ(6), "_deleted" = s."_MARTSYNC_DEAD"
WHEN NOT MATCHED THEN INSERT ("id", "first_name", "active", "score", "worth", "born", "updated_at", "more", "photo", "_synced_at", "_deleted") VALUES (s."id", s."first_name", s."active", s."score", s."worth", s."born", s."updated_at", s."more", s."photo", '2026-02-03 04:05:06.789000'::TIMESTAMP_NTZ(6), s."_MARTSYNC_DEAD")
;
