//go:build !unix

package measure

func cpu() float64 { return 0 }
