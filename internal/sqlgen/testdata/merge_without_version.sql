MERGE INTO "people" AS t USING (SELECT 1) AS s ON t."a" IS NOT DISTINCT FROM s."a" AND t."b" IS NOT DISTINCT FROM s."b"
WHEN MATCHED THEN UPDATE SET "d" = s."d"
WHEN NOT MATCHED THEN INSERT ("a", "b", "c", "d") VALUES (s."a", s."b", s."c", s."d")
