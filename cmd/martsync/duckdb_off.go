//go:build !cgo || lite

package main

// withDuckDB says whether DuckDB is in this build.
const withDuckDB = false
