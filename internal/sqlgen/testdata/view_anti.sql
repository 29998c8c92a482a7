CREATE OR REPLACE VIEW "mart"."missing" AS
SELECT DISTINCT
  a."person_id" AS "id"
FROM "mart"."events" AS a
WHERE a."person_id" IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM "mart"."people" AS b WHERE a."person_id" = b."id")
