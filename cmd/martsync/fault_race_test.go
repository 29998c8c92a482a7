//go:build race && cgo && !lite

package main

func init() { raced = []string{"cut", "fail"} }
