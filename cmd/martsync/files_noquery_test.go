//go:build !cgo || lite

package main

import (
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/files"
)

func readByDuckDB(*testing.T, string, files.Config, martsync.Destination) {}

func readNewestByDuckDB(*testing.T, string, martsync.Destination, martsync.Source) {}
