package files

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/setting"
)

// TestLatestAgainstModel does random things to the destination in memory and to one in a folder that is compacted in between, and swept:
// by itself, or when it is told to. What is read back is always the same.
func TestLatestAgainstModel(t *testing.T) {
	dir := t.TempDir()
	compactions := 0
	rapid.Check(t, func(rt *rapid.T) {
		if rapid.IntRange(0, 9).Draw(rt, "one in ten, because folders are slow") != 0 && compactions > 0 {
			return
		}
		c := Config{Mode: "latest", Keep: setting.Duration(time.Nanosecond), Rotate: Rotate{Rows: int64(rapid.IntRange(0, 3).Draw(rt, "rows of a file"))}}
		d := destinationOn(t, blobtest.Folder(t), c, coreEnv(t, nil))
		defer d.Close()
		d.replay = tiny
		if rapid.Bool().Draw(rt, "by itself") {
			d.rule = always
		}
		m := newReplayModel(rt, dir)
		m.real = d
		m.reopen(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"write":   m.write,
			"commit":  m.commit,
			"stage":   m.stage,
			"discard": m.discard,
			"reopen":  m.reopen,
			"evolve":  m.evolve,
			"compact": func(rt *rapid.T) {
				done := false
				for c, err := range d.Compact(context.Background(), "things") {
					if err != nil {
						rt.Fatal(err)
					}
					done = done || c.Done
				}
				if done {
					compactions++
					m.written = nil
					m.reopen(rt) // who had the table open builds on the commit before
				}
			},
			"verify": func(rt *rapid.T) {
				for v, err := range d.Verify(context.Background(), "") {
					if err != nil || !v.OK {
						rt.Fatalf("got %+v, %v", v, err)
					}
				}
			},
			"": m.compare,
		})
		if err := m.realWriter.Close(); err != nil {
			rt.Fatal(err)
		}
	})
	t.Logf("%d compactions", compactions)
	if compactions == 0 {
		t.Error("nothing was ever compacted")
	}
}
