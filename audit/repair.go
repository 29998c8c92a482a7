package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A Repair is what became of records that one table names and another one lacks, such as leads of activities.
type Repair struct {
	View    string `json:"view"`              // that shows them
	Stream  string `json:"stream"`            // whose table lacks them
	Missing int    `json:"missing"`           // ids
	Stored  int    `json:"stored"`            // records that the vendor still had
	Gone    int    `json:"gone"`              // ids that the vendor does not know; they are marked deleted
	Left    int    `json:"left,omitzero"`     // ids that were too many for once
	Skipped string `json:"skipped,omitempty"` // why nothing was done
}

// RepairOptions say who repairs.
type RepairOptions struct {
	Options
	Sync string    // for the log
	At   time.Time // becomes _synced_at
	Most int       // ids of a table that are read at once, each of which may cost a call; 0: any number
}

// Repairs reads by id what the source's views show to be missing, and stores it. It writes to the
// tables, so the caller sees to it that no sync runs meanwhile; if one does, one of the two meets a conflict.
// What is stored is not in the raw zone.
func Repairs(ctx context.Context, o RepairOptions) iter.Seq2[Repair, error] {
	return func(yield func(Repair, error) bool) {
		viewer, views := martsync.As[martsync.Viewer](o.Source)
		look, looks := martsync.As[martsync.Lookuper](o.Source)
		tables, reads := o.Destination.(martsync.TableReader)
		if !views || !looks || !reads {
			yield(Repair{}, &martsync.Error{
				Kind: martsync.Config, Op: "repair", Err: errors.New("this source or destination cannot"),
				Hint: "It takes a source whose records can be read by id, and a destination whose tables can be read back.",
			})
			return
		}
		all, err := viewer.Views(ctx)
		if err != nil {
			yield(Repair{}, err)
			return
		}
		streams, err := o.Source.Streams(ctx)
		if err != nil {
			yield(Repair{}, err)
			return
		}
		for _, v := range all {
			if v.Join == nil || !v.Join.Anti || len(v.Join.On) != 1 || !o.wants(v.Join.Stream) {
				continue
			}
			i := slices.IndexFunc(streams, func(s martsync.Stream) bool { return s.Schema().Stream == v.Join.Stream })
			if i < 0 {
				continue
			}
			r := repairing{o: &o, look: look, tables: tables, view: v, schema: streams[i].Schema(), out: Repair{View: v.Name, Stream: v.Join.Stream}}
			err := r.run(ctx)
			if !yield(r.out, err) || err != nil {
				return
			}
		}
	}
}

// repairing is one view's repair.
type repairing struct {
	o      *RepairOptions
	look   martsync.Lookuper
	tables martsync.TableReader
	view   martsync.View
	schema martsync.Schema // of the table that lacks records
	out    Repair
}

func (r *repairing) run(ctx context.Context) error {
	ids, err := r.missing(ctx)
	if err != nil || r.out.Skipped != "" {
		return err
	}
	r.out.Missing = len(ids)
	if most := r.o.Most; most > 0 && len(ids) > most {
		ids, r.out.Left = ids[:most], len(ids)-most
	}
	if len(ids) == 0 {
		return nil
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	theirs, records, err := r.look.Lookup(ctx, r.schema.Stream, texts, nil)
	if errors.Is(err, martsync.ErrUnsupported) {
		r.out.Skipped = "its records cannot be read by id"
		return nil
	}
	if err != nil {
		return err
	}
	w, err := r.o.Destination.Open(ctx, r.schema)
	if err != nil {
		return fmt.Errorf("open table %s: %w", r.schema.Stream, err)
	}
	if w.Staged() != "" {
		r.out.Skipped = "a sync has staged rows: run it to its end first"
		return w.Close()
	}
	if err := r.store(ctx, w, ids, theirs, records); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// missing returns the ids that the table of the view names and the other one lacks, ascending.
func (r *repairing) missing(ctx context.Context) ([]int64, error) {
	var have []int64
	known, err := r.each(ctx, r.view.Join.Stream, r.view.Join.On[0][1], func(id int64) { have = append(have, id) })
	if err != nil || !known {
		return nil, err
	}
	slices.Sort(have)
	var ids []int64
	next := 1 << 16
	tidy := func() {
		slices.Sort(ids)
		ids = slices.DeleteFunc(slices.Compact(ids), func(id int64) bool {
			_, found := slices.BinarySearch(have, id)
			return found
		})
		next = 2*len(ids) + 1<<16
	}
	_, err = r.each(ctx, r.view.From, r.view.Join.On[0][0], func(id int64) {
		if ids = append(ids, id); len(ids) >= next {
			tidy()
		}
	})
	tidy()
	return ids, err
}

// each yields the values of a column of whole numbers above zero.
func (r *repairing) each(ctx context.Context, stream, column string, visit func(int64)) (known bool, err error) {
	s, records, err := r.tables.ReadTable(ctx, stream)
	if martsync.KindOf(err) == martsync.Config {
		r.out.Skipped = "there is no table " + stream + " yet"
		return false, nil
	}
	if err != nil {
		return false, err
	}
	i := s.Index(column)
	if i < 0 || s.Columns[i].Type != martsync.Int64 {
		r.out.Skipped = fmt.Sprintf("%s of %s holds no whole numbers", column, stream)
		return false, nil
	}
	for batch, err := range records {
		if err != nil {
			return false, fmt.Errorf("read table %s: %w", stream, err)
		}
		for k := range batch.Len {
			if id := batch.Columns[i].Ints[k]; !batch.Columns[i].Null(k) && id > 0 {
				visit(id)
			}
		}
	}
	return true, nil
}

// store commits what the vendor has of the ids, and marks the others deleted. The position stays as it is.
func (r *repairing) store(ctx context.Context, w martsync.Writer, ids []int64, theirs martsync.Schema, records iter.Seq2[*martsync.Records, error]) error {
	from := make([]int, len(r.schema.Columns)) // where each of our columns is among theirs
	for i, c := range r.schema.Columns {
		from[i] = theirs.Index(c.Name)
	}
	key := theirs.Index(r.schema.Key[0])
	found := map[int64]bool{}
	b := rows.NewBuilder(r.schema.Columns)
	flush := func() error {
		if b.Len() == 0 {
			return nil
		}
		err := w.Write(ctx, b.Records())
		b.Reset()
		return err
	}
	for batch, err := range records {
		if err != nil {
			return err
		}
		for _, row := range rows.Of(theirs.Columns, batch) {
			id, ok := row[key].(int64)
			if !ok || found[id] {
				continue
			}
			found[id] = true
			cells := make(rows.Row, len(from))
			for i, j := range from {
				if j >= 0 && theirs.Columns[j].Type == r.schema.Columns[i].Type && theirs.Columns[j].Scale == r.schema.Columns[i].Scale {
					cells[i] = row[j]
				}
			}
			b.Append(cells...)
		}
		if err := flush(); err != nil {
			return err
		}
	}
	r.out.Stored = len(found)
	if r.schema.Deletes {
		at := r.schema.Index(r.schema.Key[0])
		for _, id := range ids {
			if found[id] {
				continue
			}
			cells := make(rows.Row, len(from))
			cells[at] = id
			b.AppendTombstone(cells...)
			if r.out.Gone++; b.Len() == martsync.MaxRows {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	written := int64(r.out.Stored + r.out.Gone)
	return w.Commit(ctx, martsync.Commit{
		Sync: r.o.Sync, At: r.o.At, Next: w.Cursor(),
		Windows: []martsync.Window{{ // the ledger accounts for every row
			Filter: fmt.Sprintf(`{"repair":%q}`, r.view.Name), Records: -1, Bytes: -1, Parsed: written, Written: written,
		}},
		Log: []martsync.LogEntry{{
			Time: r.o.At, Sync: r.o.Sync, Stream: r.schema.Stream, Operation: "repair", Success: true, Rows: written,
			Message: fmt.Sprintf("%s: %d records read by id, %d ids marked deleted that the vendor does not know", r.view.Name, r.out.Stored, r.out.Gone),
		}},
	})
}
