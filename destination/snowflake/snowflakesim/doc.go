// Package snowflakesim is a Snowflake account in the process of a test: a server on loopback that
// speaks the protocol of Snowflake's own drivers, with a stage behind TLS that speaks S3, users
// that have to prove who they are, roles with grants, warehouses with a meter, and SQL that runs
// on DuckDB underneath.
//
// It is a second, independent reading of Snowflake's documentation and imports nothing else of
// the project. It understands the part of the dialect that loading a data mart needs and refuses
// the rest by Snowflake's own error numbers: a statement it does not know is error 1003, never
// quietly accepted. Its worth is in what it refuses and in what can be made to go wrong (Fault).
// It says nothing about speed, cost or limits of a real account; for those there is the live test.
//
// Deviations from the real one: division of two exact numbers is in floating point; times have
// microseconds; PRIMARY KEY and the like are accepted and, as in Snowflake, not enforced; results
// are JSON, not Arrow; time travel is limited to UNDROP.
//
// It needs DuckDB, hence cgo; a build without has only this page.
package snowflakesim
