// Package connectors lists every connector and simulator there is, so that nobody else has to
// name them. The lists are made from the folders source/… and destination/…: a new connector
// is a new folder and `go generate ./...`.
package connectors

//go:generate go run ./gen
