CREATE SCHEMA IF NOT EXISTS "mart";

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
);

CREATE TABLE IF NOT EXISTS "mart"."leads" (
  "id" BIGINT,
  "email" VARCHAR,
  "the ""order""" JSON,
  "active" BOOLEAN,
  "score" DOUBLE,
  "revenue" DECIMAL(19,4),
  "photo" BLOB,
  "birthday" DATE,
  "updated_at" TIMESTAMP,
  "_synced_at" TIMESTAMP,
  "_deleted" BOOLEAN
);

INSERT INTO "mart"."_martsync_cursors" ("stream", "cursor", "commits") SELECT 'it''s', '', 0 WHERE NOT EXISTS (SELECT 1 FROM "mart"."_martsync_cursors" WHERE "stream" = 'it''s');

ALTER TABLE "mart"."leads" ADD COLUMN "the ""order""" JSON;

ALTER TABLE "mart"."leads" ADD COLUMN "_deleted" BOOLEAN DEFAULT false;

ALTER TABLE "mart"."leads" ALTER COLUMN "revenue" SET DATA TYPE DECIMAL(19,4) USING CAST("revenue" AS DECIMAL(19,4));
