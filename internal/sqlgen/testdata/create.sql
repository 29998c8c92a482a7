CREATE TABLE IF NOT EXISTS "mart"."people" (
  "id" BIGINT,
  "the ""name""" VARCHAR,
  "active" BOOLEAN,
  "score" DOUBLE,
  "worth" DECIMAL(20,6),
  "born" DATE,
  "updated_at" TIMESTAMP,
  "more" JSON,
  "photo" BLOB,
  "result" VARCHAR,
  "_synced_at" TIMESTAMP,
  "_deleted" BOOLEAN
)
