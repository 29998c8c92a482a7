CREATE OR REPLACE VIEW "mart"."both" AS
SELECT
  a."guid" AS "guid_ma",
  b."id" AS "id_ml"
FROM "mart"."events" AS a
LEFT JOIN "mart"."people" AS b ON a."person_id" = b."id"
