CREATE OR REPLACE VIEW "mart"."activity_click_email" AS
SELECT 
  a."marketo_guid" AS "marketo_guid",
  json_extract_string(a."attributes", '/Link') AS "link",
  TRY_CAST(json_extract_string(a."attributes", '/Link ID') AS BIGINT) AS "link_id",
  TRY_CAST(json_extract_string(a."attributes", '/it''s a~1b~0c "quoted"') AS DECIMAL(38,9)) AS "odd",
  json_extract(a."attributes", '/Object') AS "object",
  TRY_CAST(json_extract_string(a."attributes", '/At') AS TIMESTAMP) AS "at"
FROM "mart"."activities" AS a
WHERE a."activity_type_id" = 11
  AND a."lead_id" IS NOT NULL;

CREATE OR REPLACE VIEW "mart"."datamart" AS
SELECT 
  a."marketo_guid" AS "marketo_guid_ma",
  b."email" AS "email_ml"
FROM "mart"."activities" AS a
LEFT JOIN "mart"."leads" AS b ON a."lead_id" = b."id";

CREATE OR REPLACE VIEW "mart"."missing_leads" AS
SELECT DISTINCT 
  a."lead_id" AS "lead_id"
FROM "mart"."activities" AS a
WHERE NOT EXISTS (SELECT 1 FROM "mart"."leads" AS b WHERE a."lead_id" = b."id");

CREATE OR REPLACE VIEW "mart"."metadata" AS
SELECT 'it''s' AS table_name, count(*) AS row_count, max("_synced_at") AS newest FROM "mart"."it's"
UNION ALL
SELECT 'leads' AS table_name, count(*) AS row_count, max("_synced_at") AS newest FROM "mart"."leads";

CREATE OR REPLACE VIEW "metadata" AS
SELECT CAST(NULL AS VARCHAR) AS table_name, CAST(0 AS BIGINT) AS row_count, CAST(NULL AS TIMESTAMP) AS newest WHERE false;
