package evolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestFit(t *testing.T) {
	whole := martsync.Column{Name: "a", Type: martsync.Int64}
	text := martsync.Column{Name: "a", Type: martsync.String}
	other := martsync.Column{Name: "b", Type: martsync.Date}
	for name, c := range map[string]struct {
		have, want, columns []martsync.Column
		changes             []martsync.Change
	}{
		"a new table":       {nil, []martsync.Column{whole}, []martsync.Column{whole}, nil},
		"nothing":           {[]martsync.Column{whole}, []martsync.Column{whole}, []martsync.Column{whole}, nil},
		"a column more":     {[]martsync.Column{whole}, []martsync.Column{other, whole}, []martsync.Column{whole, other}, []martsync.Change{{Column: "b", Action: martsync.ColumnAdded, To: "date"}}},
		"a wider column":    {[]martsync.Column{whole}, []martsync.Column{text}, []martsync.Column{text}, []martsync.Change{{Column: "a", Action: martsync.ColumnWidened, From: "int64", To: "string"}}},
		"a narrower column": {[]martsync.Column{text}, []martsync.Column{whole}, []martsync.Column{text}, nil},
		"a column less":     {[]martsync.Column{whole, other}, []martsync.Column{whole}, []martsync.Column{whole, other}, []martsync.Change{{Column: "b", Action: martsync.ColumnMissing, From: "date", To: "date"}}},
	} {
		columns, changes := Fit(c.have, &martsync.Schema{Columns: c.want})
		if d := cmp.Diff(c.columns, columns); d != "" {
			t.Errorf("%s: columns (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(c.changes, changes); d != "" {
			t.Errorf("%s: changes (-want +got):\n%s", name, d)
		}
	}
}
