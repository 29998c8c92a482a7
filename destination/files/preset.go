package files

import (
	"fmt"
	"slices"

	"github.com/martsync/martsync"
)

// pardotPreset is the preset whose files look like those of the loader for Account Engagement
// that many data marts were built on: for each object a folder of CSV files without columns
// of ours, Prospect/Prospect_bulk_20260102T030405Z_000001.csv.
const pardotPreset = "pardot-etl"

// A preset is a layout, a format and a rotation that belong together.
type preset struct {
	Name   string
	Layout string
	Format fileFormat

	queries, exports rotation
	exported         []string // streams read by exports
}

// defaultBytes is how large files become without a preset. Larger ones hardly read faster; many
// small ones read slowly.
const defaultBytes = 256 << 20

var presets = map[string]preset{
	"": {
		Layout:  defaultLayout,
		Format:  fileFormat{Kind: parquetFormat, Compression: zstdCompression},
		queries: rotation{Bytes: defaultBytes},
	},
	pardotPreset: {
		Name:    pardotPreset,
		Layout:  "{object}/{object}_{way}_{time}_{seq}.{format}",
		Format:  fileFormat{Kind: csvFormat, Compression: noCompression, Bare: true},
		queries: rotation{Rows: 1000},
		// An export is one file for each window, however large: a file ends with its commit.
		exports:  rotation{},
		exported: []string{"list_memberships", "prospects", "prospect_accounts", "visitors", "visitor_activities"},
	},
}

// presetOf returns the preset of that name; "" is the default.
func presetOf(name string) (preset, error) {
	p, ok := presets[name]
	if !ok {
		return preset{}, &martsync.Error{
			Kind: martsync.Config, Op: "files: read the configuration",
			Err: fmt.Errorf("no preset is named %q", name), Hint: suggest(name, []string{pardotPreset}),
		}
	}
	return p, nil
}

// export reports whether the preset's files of a stream are named and divided as those of an
// export. It goes by the stream, not by how the rows came today: readers of these files
// know an object by its prefix.
func (p preset) export(stream string) bool { return slices.Contains(p.exported, stream) }

// rotation is that of the files of a stream.
func (p preset) rotation(stream string) rotation {
	if p.export(stream) {
		return p.exports
	}
	return p.queries
}
