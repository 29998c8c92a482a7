package files

import (
	"cmp"
	"time"

	"github.com/martsync/martsync/internal/setting"

	"github.com/martsync/martsync/internal/blob"
)

// Config is the configuration of a files destination.
type Config struct {
	URL         string           `yaml:"url,omitempty" json:"url,omitempty" martsync:"ask" jsonschema:"title=Address,description=Where the files go: s3://bucket/prefix or file:///folder. Set either url or path.,example=s3://my-bucket/mart"`
	Path        string           `yaml:"path,omitempty" json:"path,omitempty" martsync:"path,ask" jsonschema:"title=Folder,description=The folder that the files go to; it is created if it does not exist. Set either url or path.,example=mart"`
	Format      string           `yaml:"format,omitempty" json:"format,omitempty" jsonschema:"title=Format,description=How rows are written: parquet (default) or csv or ndjson.,enum=,enum=parquet,enum=csv,enum=ndjson"`
	Compression string           `yaml:"compression,omitempty" json:"compression,omitempty" jsonschema:"title=Compression,description=none or gzip or zstd. Empty means zstd for parquet and none for the others.,enum=,enum=none,enum=gzip,enum=zstd"`
	Layout      string           `yaml:"layout,omitempty" json:"layout,omitempty" jsonschema:"title=Layout,description=The names of the files below the prefix. Placeholders: {source} {stream} {object} {date} {hour} {time} {sync} {seq} {activity_type} {way} {format}. It needs {stream} or {object}\\, and {seq}\\, and ends with .{format}.,example={stream}/dt={date}/{stream}-{time}-{seq}.{format}"`
	Preset      string           `yaml:"preset,omitempty" json:"preset,omitempty" jsonschema:"title=Preset,description=Names and format and sizes of files as another tool makes them: pardot-etl. What is set beside it wins."`
	Mode        string           `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"title=Mode,description=append (default): files stay as they are forever. latest: tables are written anew from time to time without the versions of rows that newer ones replaced and the old files are deleted; parquet only.,enum=,enum=append,enum=latest"`
	Keep        setting.Duration `yaml:"keep,omitempty" json:"keep,omitempty" jsonschema:"title=Keep,description=How long files stay after they were replaced in mode latest. Default: 24h."`
	Rotate      Rotate           `yaml:"rotate,omitempty" json:"rotate,omitempty" jsonschema:"title=Rotation,description=When the next file is begun."`
	S3          blob.S3Options   `yaml:"s3,omitempty" json:"s3,omitempty" jsonschema:"title=S3,description=How to reach the bucket."`
}

// Rotate says when the next file is begun. A stage and a commit end files too.
type Rotate struct {
	Rows  int64            `yaml:"rows,omitempty" json:"rows,omitempty" jsonschema:"title=Rows,description=Most rows of a file. 0: any number.,minimum=0"`
	Bytes int64            `yaml:"bytes,omitempty" json:"bytes,omitempty" jsonschema:"title=Bytes,description=Size from which the next file is begun. 0: what the preset says.,minimum=0"`
	Age   setting.Duration `yaml:"age,omitempty" json:"age,omitempty" jsonschema:"title=Age,description=How long rows are added to a file. 0: until the commit."`
}

// location is where the tables go.
func (c Config) location() blob.Location { return blob.Location{URL: c.URL, Path: c.Path, S3: c.S3} }

// format is that of the preset, changed by what is set beside it.
func (c Config) format(p preset) (fileFormat, error) {
	if c.Format == "" && c.Compression == "" {
		return p.Format, nil
	}
	kind := cmp.Or(c.Format, string(p.Format.Kind))
	f, err := parseFormat(kind, c.Compression)
	if err != nil {
		return fileFormat{}, err
	}
	f.Bare = p.Format.Bare && f.Kind == csvFormat
	return f, nil
}

// rotation is that of the files of a stream.
func (d *destination) rotation(stream string) rotation {
	r := d.preset.rotation(stream)
	if d.config.Rotate.Rows > 0 {
		r.Rows = d.config.Rotate.Rows
	}
	if d.config.Rotate.Bytes > 0 {
		r.Bytes = d.config.Rotate.Bytes
	}
	if d.config.Rotate.Age > 0 {
		r.Age = time.Duration(d.config.Rotate.Age)
	}
	return r
}

// values are the values of a file's key.
func (d *destination) values(stream, load string, seq int64, part string, at time.Time) layoutValues {
	return layoutValues{
		Source: d.source, Stream: stream, Sync: load, Time: at.UTC(), Seq: seq, ActivityType: part,
		Export: d.preset.export(stream), Format: d.format,
	}
}
