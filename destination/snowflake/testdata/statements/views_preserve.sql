CREATE OR REPLACE VIEW "MARKETO"."datamart" COPY GRANTS AS
SELECT
  a."marketoGUID" AS "marketo_guid_ma",
  a."leadId" AS "lead_id_ma",
  b."id" AS "id_ml",
  b."firstName" AS "first_name_ml"
FROM "MARKETO"."activities" AS a
LEFT JOIN "MARKETO"."leads" AS b ON a."leadId" = b."id"
;
CREATE OR REPLACE VIEW "MARKETO"."missing_leads" COPY GRANTS AS
SELECT DISTINCT
  a."leadId" AS "lead_id"
FROM "MARKETO"."activities" AS a
WHERE a."leadId" IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM "MARKETO"."leads" AS b WHERE a."leadId" = b."id")
;
CREATE OR REPLACE VIEW "MARKETO"."activity_fill_out_form" COPY GRANTS AS
SELECT
  a."marketoGUID" AS "marketo_guid",
  GET(a."attributes", 'Form Fields') AS "form_fields",
  GET(a."attributes", 'the client\'s \\ "IP"')::VARCHAR AS "client",
  TRY_CAST(GET(a."attributes", 'Webform ID')::VARCHAR AS NUMBER(19,0)) AS "webform_id",
  TRY_CAST(GET(a."attributes", 'Score')::VARCHAR AS FLOAT) AS "score",
  TRY_CAST(GET(a."attributes", 'Price')::VARCHAR AS NUMBER(38,9)) AS "price",
  TRY_CAST(GET(a."attributes", 'Opened')::VARCHAR AS BOOLEAN) AS "opened",
  TRY_CAST(GET(a."attributes", 'Day')::VARCHAR AS DATE) AS "day",
  CASE WHEN REGEXP_LIKE(GET(a."attributes", 'Moment')::VARCHAR, '.*:[0-9][0-9]([.][0-9]+)?[+-][0-9][0-9](:?[0-9][0-9])?') THEN CONVERT_TIMEZONE('UTC', TRY_CAST(REGEXP_REPLACE(GET(a."attributes", 'Moment')::VARCHAR, '([+-][0-9][0-9])([0-9][0-9])$', '\\1:\\2') AS TIMESTAMP_TZ))::TIMESTAMP_NTZ ELSE TRY_TO_TIMESTAMP_NTZ(GET(a."attributes", 'Moment')::VARCHAR) END AS "moment"
FROM "MARKETO"."activities" AS a
WHERE a."activityTypeId" = 2
;
CREATE OR REPLACE VIEW "MARKETO"."leads_current" COPY GRANTS AS
WITH RECURSIVE merged (id, canonical_id, merges) AS (
  SELECT m."loser_id", m."winner_id", 1 FROM "MARKETO"."lead_merges" AS m
  UNION ALL
  SELECT f.id, m."winner_id", f.merges + 1 FROM merged AS f JOIN "MARKETO"."lead_merges" AS m ON m."loser_id" = f.canonical_id WHERE f.merges < 100
),
canonical (id, canonical_id) AS (
  SELECT f.id, f.canonical_id FROM merged AS f WHERE NOT EXISTS (SELECT 1 FROM "MARKETO"."lead_merges" AS m WHERE m."loser_id" = f.canonical_id)
  UNION ALL
  SELECT l."id", l."id" FROM "MARKETO"."leads" AS l WHERE NOT EXISTS (SELECT 1 FROM "MARKETO"."lead_merges" AS m WHERE m."loser_id" = l."id")
)
SELECT
  c.id AS "id",
  c.canonical_id AS "canonical_id",
  a."firstName" AS "first_name"
FROM canonical AS c
LEFT JOIN "MARKETO"."leads" AS a ON a."id" = c.canonical_id
;
CREATE OR REPLACE VIEW "MARKETO"."MARKETODATAMART" COPY GRANTS AS
SELECT
  a."marketoGUID" AS "MARKETO_GUID_MA",
  a."leadId" AS "LEAD_ID_MA",
  b."id" AS "ID_ML",
  b."firstName" AS "FIRST_NAME_ML"
FROM "MARKETO"."activities" AS a
LEFT JOIN "MARKETO"."leads" AS b ON a."leadId" = b."id"
;
CREATE OR REPLACE VIEW "MARKETO"."MARKETO_AWS_LOGS" COPY GRANTS AS
SELECT "message" AS "MESSAGE", "stream" AS "TABLE_NAME", "operation" AS "OPERATION_NAME", "success" AS "SUCCESS", "time" AS "TIMESTAMP"
FROM "MARKETO"."_martsync_log"
;
CREATE OR REPLACE VIEW "MARKETO"."metadata" COPY GRANTS AS
SELECT 'activities' AS "table_name", COUNT(*) AS "row_count", MAX("_synced_at") AS "newest" FROM "MARKETO"."activities"
UNION ALL
SELECT 'leads' AS "table_name", COUNT(*) AS "row_count", MAX("_synced_at") AS "newest" FROM "MARKETO"."leads"
;
CREATE OR REPLACE VIEW "MARKETO"."MARKETO_META_DATA_VIEW" COPY GRANTS AS
SELECT NULL::VARCHAR AS "TABLE_NAME", 0 AS "ROW_COUNT", NULL::TIMESTAMP_NTZ AS "NEWEST_TIMESTAMP" WHERE FALSE
;
