CREATE STAGE IF NOT EXISTS "MART"."MARKETO"."_MARTSYNC_STAGE" COMMENT = 'martsync: files on their way into tables'
;
