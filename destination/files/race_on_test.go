//go:build race

package files

func init() { slowdown = 4 }
