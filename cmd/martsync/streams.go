package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/nearest"
	"github.com/martsync/martsync/internal/pattern"
	"github.com/martsync/martsync/internal/report"
	"github.com/spf13/cobra"
)

func (a *app) streamsCommand() *cobra.Command {
	var source string
	var asJSON, destination bool
	c := &cobra.Command{
		Use:   "streams [STREAM…]",
		Short: "Lists what can be synced, with columns and types",
		Long: `Lists the streams of a source. With the names of streams, or patterns, lists their columns.

With --destination it compares with the tables that the syncs of that source have made: which
are there, and which columns the next sync adds.`,
		Example: "  martsync streams\n  martsync streams leads\n  martsync streams --destination",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.streams(ctx, source, args, destination, asJSON)
		},
	}
	c.Flags().StringVar(&source, "source", "", "`name` of the source, where there are several")
	c.Flags().BoolVar(&destination, "destination", false, "compare with the tables at the destination")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// A streamInfo is a stream in a listing.
type streamInfo struct {
	Stream   string       `json:"stream"`
	Key      []string     `json:"key"`
	Version  string       `json:"version,omitempty"`
	Snapshot bool         `json:"snapshot"`
	Deletes  bool         `json:"deletes"`
	Columns  []columnInfo `json:"columns"`
	Table    *tableInfo   `json:"table,omitempty"` // with --destination
}

type columnInfo struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Origin      string `json:"origin,omitempty"` // the vendor's name
	Description string `json:"description,omitempty"`
	Table       string `json:"table_type,omitempty"` // with --destination; "": not there
}

// A tableInfo is what a destination has of a stream.
type tableInfo struct {
	Sync   string   `json:"sync"`
	Exists bool     `json:"exists"`
	Rows   int64    `json:"rows_written"` // by all syncs so far
	Adds   []string `json:"adds,omitempty"`
	Widens []string `json:"widens,omitempty"`
	Keeps  []string `json:"keeps,omitempty"` // columns that the vendor no longer has
}

func (a *app) streams(ctx context.Context, name string, patterns []string, withTables, asJSON bool) error {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	s, err := c.FindSource(name)
	if err != nil {
		return err
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	source, err := a.openSource(ctx, s, env)
	if err != nil {
		return err
	}
	streams, err := source.Streams(ctx)
	if err != nil {
		return err
	}
	var infos []streamInfo
	var names []string
	for _, stream := range streams {
		schema := stream.Schema()
		names = append(names, schema.Stream)
		if pattern.Chooses(patterns, nil, schema.Stream) {
			infos = append(infos, describe(schema))
		}
	}
	if len(infos) == 0 && len(patterns) > 0 {
		hint := "This account has " + strings.Join(names, ", ") + "."
		if near := nearest.Of(patterns[0], names); near != "" {
			hint = fmt.Sprintf("Did you mean %q?", near)
		}
		return usageError(fmt.Errorf("no stream matches %q", strings.Join(patterns, " ")), hint)
	}
	if withTables {
		if err := a.compareTables(ctx, c, s, env, infos); err != nil {
			return err
		}
	}
	switch {
	case asJSON:
		return a.writeJSON(map[string]any{"source": s.Name, "account": source.Account(), "streams": infos})
	case len(patterns) > 0:
		return a.listColumns(infos, withTables)
	default:
		return a.listStreams(infos, withTables)
	}
}

func describe(s martsync.Schema) streamInfo {
	info := streamInfo{Stream: s.Stream, Key: s.Key, Version: s.Version, Snapshot: s.Snapshot, Deletes: s.Deletes}
	for _, c := range s.Columns {
		info.Columns = append(info.Columns, columnInfo{Name: c.Name, Type: c.TypeName(), Origin: c.Origin, Description: c.Description})
	}
	return info
}

// compareTables looks at the tables of every sync of the source.
func (a *app) compareTables(ctx context.Context, c *config.Config, s config.Source, env martsync.Env, infos []streamInfo) (err error) {
	i := slices.IndexFunc(c.Syncs, func(sync config.Sync) bool { return sync.Source.Name == s.Name })
	if i < 0 {
		return &martsync.Error{Kind: martsync.Config, Op: "look at the destination", Err: fmt.Errorf("no sync reads source %s", s.Name)}
	}
	sync := c.Syncs[i]
	destination, err := a.openDestination(ctx, sync, env)
	if err != nil {
		return err
	}
	defer closing(destination, &err)
	tables, ok := destination.(martsync.TableReader)
	if !ok {
		return errNoAbility("look at the tables", sync.Destination.Name, sync.Destination.Connector.Title)
	}
	written := map[string]int64{}
	if history, ok := destination.(martsync.HistoryReader); ok {
		for entry, err := range history.Ledger(ctx, "") {
			if err != nil {
				return err
			}
			written[entry.Stream] += entry.Window.Written
		}
	}
	for i := range infos {
		info := &infos[i]
		info.Table = &tableInfo{Sync: sync.Name, Rows: written[info.Stream]}
		stored, _, err := tables.ReadTable(ctx, info.Stream)
		if err != nil {
			if martsync.KindOf(err) == martsync.Internal && !errors.Is(err, martsync.ErrUnsupported) {
				return err
			}
			continue // not there yet
		}
		info.Table.Exists = true
		info.compare(stored)
	}
	return nil
}

// compare fills in how the table differs from the stream.
func (info *streamInfo) compare(stored martsync.Schema) {
	for i, c := range info.Columns {
		at := stored.Index(c.Name)
		if at < 0 {
			info.Table.Adds = append(info.Table.Adds, c.Name)
			continue
		}
		info.Columns[i].Table = stored.Columns[at].TypeName()
		if info.Columns[i].Table != c.Type {
			info.Table.Widens = append(info.Table.Widens, c.Name)
		}
	}
	for _, c := range stored.Columns {
		if !slices.ContainsFunc(info.Columns, func(o columnInfo) bool { return o.Name == c.Name }) && c.Name != martsync.SyncedAt && c.Name != martsync.Deleted {
			info.Table.Keeps = append(info.Table.Keeps, c.Name)
		}
	}
}

func (t *tableInfo) String() string {
	if !t.Exists {
		return "not there yet"
	}
	var parts []string
	for _, p := range []struct {
		names []string
		what  string
	}{{t.Adds, "to add"}, {t.Widens, "of another type"}, {t.Keeps, "kept, gone at the vendor"}} {
		if len(p.names) > 0 {
			parts = append(parts, report.Plural(int64(len(p.names)), "column", "columns")+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return "in step"
	}
	return strings.Join(parts, ", ")
}

func (a *app) listStreams(infos []streamInfo, withTables bool) error {
	t := report.Table{Columns: []report.Column{
		{Name: "stream"}, {Name: "columns", Right: true}, {Name: "key"}, {Name: "version"}, {Name: "read"}, {Name: "deletions"},
	}}
	if withTables {
		t.Columns = append(t.Columns, report.Column{Name: "rows written", Right: true}, report.Column{Name: "table"})
	}
	for _, s := range infos {
		how, deletes := "incremental", "–"
		if s.Snapshot {
			how = "whole"
		}
		if s.Deletes {
			deletes = "marked"
		} else if s.Snapshot {
			deletes = "follow"
		}
		row := []string{s.Stream, report.Count(int64(len(s.Columns))), strings.Join(s.Key, ", "), s.Version, how, deletes}
		if withTables {
			row = append(row, report.Count(s.Table.Rows), s.Table.String())
		}
		t.Add(row...)
	}
	return t.WriteTo(a.out)
}

func (a *app) listColumns(infos []streamInfo, withTables bool) error {
	for i, s := range infos {
		if i > 0 {
			a.print("")
		}
		a.print("%s", a.out.Paint(report.Bold, s.Stream))
		t := report.Table{Columns: []report.Column{{Name: "column"}, {Name: "type"}}}
		if withTables {
			t.Columns = append(t.Columns, report.Column{Name: "table"})
		}
		t.Columns = append(t.Columns, report.Column{Name: "vendor's name"}, report.Column{Name: "", Flexible: true})
		for _, c := range s.Columns {
			name := c.Name
			if slices.Contains(s.Key, c.Name) {
				name += " (key)"
			}
			row := []string{name, c.Type}
			if withTables {
				row = append(row, c.Table)
			}
			t.Add(append(row, c.Origin, c.Description)...)
		}
		if err := t.WriteTo(a.out); err != nil {
			return err
		}
	}
	return nil
}
