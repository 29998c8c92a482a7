//go:build !race && cgo && !lite

package snowflake

const slow = false
