CREATE OR REPLACE VIEW "mart"."metadata" AS
SELECT 'events' AS table_name, count(*) AS row_count, max("_synced_at") AS newest FROM "mart"."events"
UNION ALL
SELECT 'people' AS table_name, count(*) AS row_count, max("_synced_at") AS newest FROM "mart"."people"
