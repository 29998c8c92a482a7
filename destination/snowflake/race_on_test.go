//go:build race && cgo && !lite

package snowflake

// slow is for tests that have fewer cases under the race detector, which makes everything five times slower and
// sees most races in the first few.
const slow = true
