package files

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
)

func TestManifestSurvives(t *testing.T) {
	want := manifest{
		Version: formatVersion, Stream: "people", Number: 42, Stage: 7, Writer: "w", Sync: "run-1", At: noon, Cursor: `{"a":"<\u2028>"}`, Table: 3,
		Put: noon.Add(time.Second), Compacted: true, Start: 41, Size: &tableSize{Base: martsync.Extent{Files: 1, Rows: 2, Bytes: 3}, Since: martsync.Extent{Files: 4, Rows: 5, Bytes: 6}},
		Snapshot: true, Sequence: 1 << 40, Schemas: []schema{schemaOf(people)},
		Files: []file{{
			Key: "people/a.parquet", Sequence: 9, Format: fileFormat{Kind: csvFormat, Compression: gzipCompression, Bare: true, Deleted: "0,7-9"},
			Rows: 1, Bytes: 2, SHA256: "ab", Upload: blob.Receipt{Key: "people/a.parquet", ID: "x", Parts: []blob.Part{{Number: 1, ETag: `"e"`, CRC32C: "c"}}, Size: 2, SHA256: "ab"},
			Begun: noon, Ranges: map[string]valueRange{"id": {math.MinInt64, math.MaxInt64}}, Deleted: true,
		}},
		Complete: []scope{{}, {Column: "list", Value: "it's"}, {Column: "at", From: time.Unix(1, 5000).UTC(), To: time.Unix(2, 0).UTC()}}, Censuses: []census{{math.MinInt64, math.MaxInt64, []int64{-1, 1<<53 + 1}}},
		Windows:     []window{{From: noon, To: noon.Add(time.Hour), Job: "j", Filter: `"<f>"`, Records: -1, Bytes: 1 << 60, SHA256: "s", Parsed: 1, Quarantined: 2, Written: 3, Calls: 4}, {}},
		Quarantined: []quarantined{{"j", 2, "c", "why", "a\x00\n🙂"}},
		Log:         []martsync.LogEntry{{Time: noon, Sync: "run-1", Stream: "people", Operation: "commit", Success: true, Message: "m", Rows: 1, Bytes: 2}},
		Dropped:     []blob.Receipt{{Key: "k", ID: "y", Modified: noon}},
	}
	for _, size := range []int{0, 2 * compressFrom} {
		want.Quarantined[0].Reason = strings.Repeat("why ", size/4)
		data, err := encodeDocument(want)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > compressFrom {
			t.Errorf("%d bytes of reason: got a document of %d bytes, want a compressed one", size, len(data))
		}
		var got manifest
		if err := decodeDocument("m", data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("manifest (-want +got):\n%s", diff)
		}
		if s, err := got.schemaOf(&got.Files[0]); err != nil || !equal(s, people) {
			t.Errorf("schema of a file: got %+v, %v", s, err)
		}
		if s, err := got.schemaOf(&file{Schema: 1}); err == nil {
			t.Errorf("schema that is not there: got %+v", s)
		}
	}
}

func TestSchemaSurvives(t *testing.T) {
	want := martsync.Schema{
		Stream: "all", Key: []string{"a", "b"}, Version: "h", Deletes: true, Snapshot: true,
		Columns: []martsync.Column{
			{Name: "a", Type: martsync.Bool},
			{Name: "b", Type: martsync.Int64, Origin: "B", Description: "d"},
			{Name: "c", Type: martsync.Float64, Sticky: true},
			{Name: "d", Type: martsync.Decimal, Precision: 38, Scale: 6},
			{Name: "e", Type: martsync.String},
			{Name: "f", Type: martsync.Binary},
			{Name: "g", Type: martsync.Date},
			{Name: "h", Type: martsync.Timestamp},
			{Name: "i", Type: martsync.JSON},
		},
	}
	got, err := schemaOf(want).schema()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	other := schemaOf(want)
	other.Columns[0].Type = "uuid"
	if _, err := other.schema(); err == nil || !strings.Contains(err.Error(), "uuid") {
		t.Errorf("a type of the future: got %v", err)
	}
}

func TestWrongDocuments(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		kind       martsync.Kind
	}{
		{"newer", `{"version":2}`, martsync.Config},
		{"no version", `{}`, martsync.Data}, // what is no document of ours, or not anymore,
		{"cut off", `{"version":1,`, martsync.Data},
		{"empty", "", martsync.Data},
		{"no gzip", "\x1f\x8bxxxxxxxxxxxxxxxxxx", martsync.Data},
		{"other types", `{"version":1,"number":"one"}`, martsync.Data},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := decodeDocument("m", []byte(tt.data), &manifest{})
			if err == nil || martsync.KindOf(err) != tt.kind || martsync.HintOf(err) == "" {
				t.Errorf("got %v of kind %v with hint %q, want kind %v", err, martsync.KindOf(err), martsync.HintOf(err), tt.kind)
			}
		})
	}
}

func TestNames(t *testing.T) {
	c := chainOf("uploads")
	if strings.HasPrefix(c.folder, blob.UploadFolder) {
		t.Errorf("the stream named uploads has its chain in %s", c.folder)
	}
	if got := streamOf(strings.TrimSuffix(strings.TrimPrefix(c.folder, blob.SystemFolder), "/")); got != "uploads" {
		t.Errorf("stream of %s: got %q", c.folder, got)
	}
	for key, want := range map[string][3]any{
		c.manifest(42):                       {manifestName, int64(42), int64(0)},
		c.checkpoint(1_000_000_000_050):      {checkpointName, int64(1_000_000_000_050), int64(0)},
		c.schema(1):                          {schemaName, int64(1), int64(0)},
		c.settled(2):                         {settledName, int64(2), int64(0)},
		c.stage(3, 4):                        {stageName, int64(3), int64(4)},
		c.folder + "stage-000000000003.json": {"", int64(0), int64(0)},
		c.folder + "manifest-42.json":        {"", int64(0), int64(0)},
		c.folder + "notes.txt":               {"", int64(0), int64(0)},
	} {
		kind, n, k, ok := c.parse(key)
		if got := [3]any{kind, n, k}; got != want || ok != (want[0] != "") {
			t.Errorf("%s: got %v, %v, want %v", key, got, ok, want)
		}
	}
	for _, stream := range []string{"a/b", "..", "a b", "größe", "x="} {
		if err := checkStream(stream); martsync.KindOf(err) != martsync.Config || err == nil {
			t.Errorf("stream %q: got %v, want an error of kind config", stream, err)
		}
	}
}

// TestCheckpoints reads a long chain with few requests, whatever checkpoints there are.
func TestCheckpoints(t *testing.T) {
	s := blobtest.Folder(t)
	var gets atomic.Int64
	h := &blobtest.Hooked{Store: s, Call: func(name, _ string, effect func() error) error {
		if name == "get" {
			gets.Add(1)
		}
		return effect()
	}}
	many := make([]int64, largeCensus+1)
	for i := range many {
		many[i] = int64(i)
	}
	schema := people
	d := destinationOn(t, h, ndjson, coreEnv(t, nil))
	w, err := d.Open(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	const commits = 120
	for i := range int64(commits) {
		put(t, w, i)
		c := martsync.Commit{Sync: "test", At: noon, Next: martsync.Cursor(fmt.Sprint(i)), Windows: []martsync.Window{{Job: fmt.Sprint(i)}}}
		switch i {
		case 20:
			c.Censuses = []martsync.Census{{After: -1, UpTo: 10, Keys: []int64{3}}}
		case 30:
			c.Censuses = []martsync.Census{{After: -1, UpTo: largeCensus, Keys: many}}
		}
		if err := w.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	c := chainOf("people")
	want := tableOf(t, d, "people")
	for _, missing := range [][]int64{nil, {50}, {100}, {50, 100}} {
		t.Run(fmt.Sprint("without ", missing), func(t *testing.T) {
			s := s
			for _, n := range missing {
				data, err := s.Get(t.Context(), c.checkpoint(n), maxDocument)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := s.Put(t.Context(), c.checkpoint(n), data, true); err != nil {
						t.Error(err)
					}
				}()
				if err := s.Delete(t.Context(), c.checkpoint(n)); err != nil {
					t.Fatal(err)
				}
			}
			table, err := d.table(t.Context(), "people")
			if err != nil {
				t.Fatal(err)
			}
			gets.Store(0)
			var numbers []int64
			for m, err := range d.commits(t.Context(), table, 1) {
				if err != nil {
					t.Fatal(err)
				}
				numbers = append(numbers, m.Number)
				if keys := map[int64]int{21: 1, 31: largeCensus + 1}[m.Number]; len(m.Censuses) > 0 && len(m.Censuses[0].Keys) != keys || len(m.Censuses) == 0 && keys > 0 {
					t.Errorf("commit %d: its census is not the one it was", m.Number)
				}
			}
			if len(numbers) != commits || numbers[0] != 1 || numbers[commits-1] != commits || !slices.IsSorted(numbers) {
				t.Errorf("commits: got %v", numbers)
			}
			if most := int64(20 + 2 + 1 + 50*len(missing)); gets.Load() > most {
				t.Errorf("requests: got %d, want at most %d", gets.Load(), most)
			}
			if diff := cmp.Diff(want, tableOf(t, d, "people")); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
	n := 0
	for m, err := range d.history(t.Context(), "people") {
		if err != nil || len(m.Windows) != 1 || m.Windows[0].Job != fmt.Sprint(n) {
			t.Fatalf("history: commit %d has windows %v, error %v", m.Number, m.Windows, err)
		}
		n++
	}
	if n != commits {
		t.Errorf("history: got %d commits", n)
	}
	if err := s.Delete(t.Context(), c.manifest(110)); err != nil {
		t.Fatal(err)
	}
	table, err := d.table(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range d.commits(t.Context(), table, 1) {
		if err != nil {
			break
		}
	}
	if martsync.KindOf(err) != martsync.Data || err == nil {
		t.Errorf("a chain with a hole: got %v, want an error of kind data", err)
	}
}

func TestStreams(t *testing.T) {
	s := blobtest.Folder(t)
	d := destinationOn(t, s, ndjson, coreEnv(t, nil))
	want := []string{"a", "a-b", "a0", "a_b", "uploads", "z"}
	for _, stream := range want {
		schema := people
		schema.Stream = stream
		w, err := d.Open(t.Context(), schema)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(3) {
			put(t, w, i)
			commitTo(t, w, "c")
		}
	}
	got, err := d.streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sorted); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	for _, stream := range want {
		if got := len(tableOf(t, d, stream)); got != 3 {
			t.Errorf("rows of %s: got %d, want 3", stream, got)
		}
	}
}

func TestWhatTheManifestTells(t *testing.T) {
	schema := martsync.Schema{
		Stream: "things", Key: []string{"id"}, Version: "at", Deletes: true,
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64},
			{Name: "n", Type: martsync.Int64},
			{Name: "at", Type: martsync.Timestamp},
			{Name: "day", Type: martsync.Date},
			{Name: "never", Type: martsync.Timestamp},
		},
	}
	s := blobtest.Folder(t)
	d := destinationOn(t, s, Config{Rotate: Rotate{Rows: 2}}, coreEnv(t, nil))
	w, err := d.Open(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(schema.Columns)
	b.Append(int64(7), int64(1), rows.Micros(-5), rows.Date(3), nil)
	b.Append(int64(-7), int64(2), nil, rows.Date(-3), nil)
	b.AppendTombstone(int64(9), nil, rows.Micros(9), rows.Date(9), rows.Micros(9))
	if err := w.Write(t.Context(), b.Records()); err != nil {
		t.Fatal(err)
	}
	commitTo(t, w, "c")
	m, err := d.manifest(t.Context(), chainOf("things"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != 2 {
		t.Fatalf("files: got %d, want 2", len(m.Files))
	}
	want := []map[string]valueRange{
		{"id": {-7, 7}, "at": {-5, -5}, "day": {-3, 3}},
		{"id": {9, 9}, "at": {9, 9}},
	}
	for i, f := range m.Files {
		if diff := cmp.Diff(want[i], f.Ranges); diff != "" {
			t.Errorf("ranges of file %d (-want +got):\n%s", i, diff)
		}
		if f.Sequence != int64(i+1) || f.Rows != int64(2-i) || f.Deleted != (i == 1) || f.Bytes == 0 || len(f.SHA256) != 64 {
			t.Errorf("file %d: got %+v", i, f)
		}
		if got, err := m.schemaOf(&f); err != nil || !equal(got, schema) {
			t.Errorf("schema of file %d: got %+v, error %v", i, got, err)
		}
	}
}

// Many files that are open at once share what one may take.
func TestOpenFilesAreBounded(t *testing.T) {
	schema := martsync.Schema{
		Stream:  "activities",
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "activity_type_id", Type: martsync.Int64}, {Name: "text", Type: martsync.String}},
	}
	s := blobtest.Folder(t)
	d := destinationOn(t, s, Config{Format: "csv", Layout: "{stream}/{activity_type}/{seq}.{format}"}, coreEnv(t, nil))
	opened, err := d.Open(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	w := opened.(*writer)
	w.budget = 200_000
	const types, batches, perBatch = 40, 30, 200
	for i := range batches {
		b := rows.NewBuilder(schema.Columns)
		for j := range perBatch {
			b.Append(int64(i*perBatch+j), int64(j%types), strings.Repeat("x", 100))
		}
		if err := w.Write(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, f := range w.open {
			held += f.raw
		}
		if held > w.budget {
			t.Fatalf("batch %d: open files hold %d bytes, want at most %d", i, held, w.budget)
		}
	}
	commitTo(t, w, "c")
	if got := len(tableOf(t, d, "activities")); got != batches*perBatch {
		t.Errorf("rows: got %d, want %d", got, batches*perBatch)
	}
	files := promised(t, d, "activities")
	if len(files) <= types || len(files) > 4*types {
		t.Errorf("files: got %d, want more than %d, few of them small", len(files), types)
	}
	for key := range files {
		if !strings.HasPrefix(key, "activities/") || strings.Count(key, "/") != 2 {
			t.Errorf("key %q", key)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		format fileFormat
		rotate rotation // of a stream named visits
	}{
		{"default", Config{}, fileFormat{Kind: parquetFormat, Compression: zstdCompression}, rotation{Bytes: defaultBytes}},
		{"csv", Config{Format: "csv", Rotate: Rotate{Rows: 5}}, fileFormat{Kind: csvFormat, Compression: noCompression}, rotation{Rows: 5, Bytes: defaultBytes}},
		{"preset", Config{Preset: pardotPreset}, fileFormat{Kind: csvFormat, Compression: noCompression, Bare: true}, rotation{Rows: 1000}},
		{"preset, compressed", Config{Preset: pardotPreset, Compression: "gzip", Rotate: Rotate{Bytes: 7}}, fileFormat{Kind: csvFormat, Compression: gzipCompression, Bare: true}, rotation{Rows: 1000, Bytes: 7}},
		{"preset, another format", Config{Preset: pardotPreset, Format: "parquet"}, fileFormat{Kind: parquetFormat, Compression: zstdCompression}, rotation{Rows: 1000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := newDestination(tt.config, "mart", coreEnv(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			if d.format != tt.format || d.rotation("visits") != tt.rotate {
				t.Errorf("got %+v and %+v, want %+v and %+v", d.format, d.rotation("visits"), tt.format, tt.rotate)
			}
		})
	}
	for _, c := range []Config{{Path: "x", Format: "avro"}, {Path: "x", Compression: "lz4"}, {Path: "x", Preset: "other"}, {Path: "x", Layout: "{seq}"}, {}} {
		_, err := Open(t.Context(), c, "", coreEnv(t, nil))
		if martsync.KindOf(err) != martsync.Config || err == nil || martsync.HintOf(err) == "" {
			t.Errorf("%+v: got %v with hint %q", c, err, martsync.HintOf(err))
		}
	}
}

// A preset's files have the names and sizes that its readers know, and the table is whole.
func TestPresetFiles(t *testing.T) {
	schema := martsync.Schema{
		Stream: "visitor_page_views", Key: []string{"id"}, Deletes: true,
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "url", Type: martsync.String}},
	}
	s := blobtest.Folder(t)
	d := destinationOn(t, s, Config{Preset: pardotPreset}, coreEnv(t, simulate.NewClock(noon)))
	w, err := d.Open(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(schema.Columns)
	for i := range int64(2500) {
		if i%1000 == 999 {
			b.AppendDeleted(i, "/")
		} else {
			b.Append(i, "/")
		}
	}
	if err := w.Write(t.Context(), b.Records()); err != nil {
		t.Fatal(err)
	}
	commitTo(t, w, "c")
	want := []string{
		"VisitorPageView/VisitorPageView_api_20250301T120000Z_000001.csv",
		"VisitorPageView/VisitorPageView_api_20250301T120000Z_000002.csv",
		"VisitorPageView/VisitorPageView_api_20250301T120000Z_000003.csv",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(visible(t, s)))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	table := tableOf(t, d, schema.Stream)
	deleted := slices.DeleteFunc(slices.Clone(table), func(row string) bool { return !strings.HasSuffix(row, "true") })
	if diff := cmp.Diff([]string{"id=1999 url=/ true", "id=999 url=/ true"}, deleted); diff != "" || len(table) != 2500 {
		t.Errorf("%d rows, deleted ones (-want +got):\n%s", len(table), diff)
	}
}
