CREATE TRANSIENT TABLE IF NOT EXISTS "MART"."MARKETO"."people" (
  "id" NUMBER(19,0),
  "first_name" VARCHAR,
  "active" BOOLEAN,
  "score" FLOAT,
  "worth" NUMBER(20,6),
  "born" DATE,
  "updated_at" TIMESTAMP_NTZ(6),
  "more" VARIANT,
  "photo" BINARY,
  "_synced_at" TIMESTAMP_NTZ(6),
  "_deleted" BOOLEAN
) COMMENT = 'martsync stream people'
;
