CREATE OR REPLACE VIEW "mart"."event_click" AS
SELECT
  a."guid" AS "guid",
  json_extract_string(a."attributes", '/a "b"~1~0c''s') AS "link",
  TRY_CAST(json_extract_string(a."attributes", '/Count') AS BIGINT) AS "count",
  json_extract(a."attributes", '/Ids') AS "list",
  TRY_CAST(json_extract_string(a."attributes", '/Price') AS DECIMAL(38,9)) AS "price"
FROM "mart"."events" AS a
WHERE a."type_id" = 11
