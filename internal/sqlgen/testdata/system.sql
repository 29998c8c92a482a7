CREATE TABLE IF NOT EXISTS "mart"."_martsync_cursors" (
  "stream" VARCHAR,
  "sync" VARCHAR,
  "committed_at" TIMESTAMP,
  "cursor" VARCHAR,
  "commits" BIGINT
);
CREATE TABLE IF NOT EXISTS "mart"."_martsync_ledger" (
  "stream" VARCHAR,
  "sync" VARCHAR,
  "committed_at" TIMESTAMP,
  "from" TIMESTAMP,
  "to" TIMESTAMP,
  "job" VARCHAR,
  "filter" VARCHAR,
  "records" BIGINT,
  "bytes" BIGINT,
  "sha256" VARCHAR,
  "parsed" BIGINT,
  "quarantined" BIGINT,
  "written" BIGINT,
  "calls" BIGINT
);
CREATE TABLE IF NOT EXISTS "mart"."_martsync_log" (
  "stream" VARCHAR,
  "sync" VARCHAR,
  "committed_at" TIMESTAMP,
  "time" TIMESTAMP,
  "operation" VARCHAR,
  "success" BOOLEAN,
  "message" VARCHAR,
  "rows" BIGINT,
  "bytes" BIGINT
);
CREATE TABLE IF NOT EXISTS "mart"."_martsync_quarantine" (
  "stream" VARCHAR,
  "sync" VARCHAR,
  "committed_at" TIMESTAMP,
  "job" VARCHAR,
  "line" BIGINT,
  "column" VARCHAR,
  "reason" VARCHAR,
  "raw" VARCHAR
)
