package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/position"
)

// A Repair is what became of records that one table names and another one lacks, such as leads of activities.
type Repair struct {
	View    string `json:"view"`              // that shows them
	Stream  string `json:"stream"`            // whose table lacks them
	Missing int    `json:"missing"`           // ids
	Stored  int    `json:"stored"`            // records that the vendor still had
	Gone    int    `json:"gone"`              // ids that the vendor does not know; they are marked deleted
	Bad     int    `json:"bad,omitzero"`      // ids whose records do not fit their columns; they are in quarantine
	Left    int    `json:"left,omitzero"`     // ids that were too many for once
	Skipped string `json:"skipped,omitempty"` // why nothing was done
}

// RepairOptions say who repairs.
type RepairOptions struct {
	Options
	Sync  string    // for the log
	At    time.Time // becomes _synced_at
	Views []string  // which views to repair, such as missing_leads or missing-leads; none: all that show what is missing
	Most  int       // ids of a table that are read at once, each of which may cost a call; 0: any number

	// Keep, if set, is called now and then, so that the caller can say again that the account is its own. An error ends
	// the repair.
	Keep func(context.Context) error

	// Stopping, if set, says that the repair is to end soon: what was read until then is stored, the rest is left.
	Stopping func() bool
}

func (o *RepairOptions) stopping() bool { return o.Stopping != nil && o.Stopping() }

// Fold is the name of a view as commands and the configuration may write it.
func fold(view string) string { return strings.ReplaceAll(strings.ToLower(view), "-", "_") }

// chosen are the views that show what a table lacks, as far as they are wanted.
func (o *RepairOptions) chosen(all []martsync.View) (views []martsync.View, err error) {
	var names []string
	for _, v := range all {
		if v.Join != nil && v.Join.Anti && len(v.Join.On) == 1 {
			views, names = append(views, v), append(names, strings.ReplaceAll(v.Name, "_", "-"))
		}
	}
	for _, want := range o.Views {
		if !slices.ContainsFunc(views, func(v martsync.View) bool { return v.Name == fold(want) }) {
			return nil, &martsync.Error{
				Kind: martsync.Config, Op: "repair", Err: fmt.Errorf("the source shows nothing called %q", want),
				Hint: "What can be repaired: " + strings.Join(names, ", ") + ".",
			}
		}
	}
	return slices.DeleteFunc(views, func(v martsync.View) bool {
		named := slices.ContainsFunc(o.Views, func(want string) bool { return v.Name == fold(want) })
		return len(o.Views) > 0 && !named || !o.wants(v.Join.Stream)
	}), nil
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
		chosen, err := o.chosen(all)
		if err != nil {
			yield(Repair{}, err)
			return
		}
		for _, v := range chosen {
			i := slices.IndexFunc(streams, func(s martsync.Stream) bool { return s.Schema().Stream == v.Join.Stream })
			if i < 0 {
				continue
			}
			if o.stopping() {
				return
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
	if err := r.o.ofAccount(ctx, r.schema.Stream); err != nil {
		return err
	}
	ids, err := r.missing(ctx)
	if err != nil || r.out.Skipped != "" || len(ids) == 0 {
		return err
	}
	w, err := r.o.Destination.Open(ctx, r.schema)
	if err != nil {
		return fmt.Errorf("open table %s: %w", r.schema.Stream, err)
	}
	// Another account knows none of the ids, so that all of them would be marked deleted.
	if err := position.Check(w.Cursor(), r.schema.Stream, r.o.Source.Account()); err != nil {
		return errors.Join(err, w.Close())
	}
	if w.Staged() != "" {
		r.out.Skipped = "a sync has staged rows: run it to its end first"
		return w.Close()
	}
	s := newStoring(r, w)
	n, err := s.read(ctx, ids)
	r.out.Left += len(ids) - n
	if errors.Is(err, martsync.ErrUnsupported) {
		r.out.Skipped = "its records cannot be read by id"
		return w.Close()
	}
	if err == nil && n > 0 {
		err = s.commit(ctx, ids[:n])
	}
	return errors.Join(err, w.Close())
}
