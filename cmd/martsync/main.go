// Command martsync moves marketing data into a data mart: complete, incremental and provable.
//
// This package is the wiring: it reads the command line, opens what the configuration names,
// hands both to package pipeline, and prints. Each command has a file of its own.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // time zones of schedules, where the machine has none
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
