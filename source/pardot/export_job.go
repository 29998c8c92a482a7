package pardot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// create makes the job of a pass, or finds the one that an earlier read made and could not
// write down.
func (t *exportTask) create(ctx context.Context) error {
	s := t.state
	if s.Since != 0 && !t.fresh {
		if found, err := t.adopt(ctx); err != nil || found {
			return err
		}
	}
	zone, err := t.zone(ctx)
	if err != nil {
		return err
	}
	// The intention first: from here on a crash leaves at most one job that nobody knows.
	names := t.asked()
	s.Since, s.Zone, s.Sign = t.now(), zone.name(), ""
	order := s.order(t.stream+"/"+t.noun, names)
	if len(order) > 0 {
		s.Sign = sign(order)
	}
	t.fresh = true
	if err := t.remember(); err != nil {
		return err
	}
	job, calls, err := t.api.create(ctx, exportSpec{
		noun: t.noun, object: t.object.object(t.version), fields: order,
		procedure: t.object.procedures[s.Procedure], from: unix(s.From), to: unix(s.To), zone: zone,
		arguments: t.passes()[s.Pass].arguments,
	})
	t.count(0, 0, calls)
	if err != nil {
		return t.refused(err)
	}
	if job.id <= 0 {
		return t.again(ctx, "create made no usable job")
	}
	s.ID, s.Asked, s.Taken, t.fresh = job.id, t.now(), false, false
	t.src.env.Log.InfoContext(ctx, "export job created", "stream", t.stream, "job", s.job())
	if zone != nil && zone.strange(job.created, t.src.now()) {
		return t.rezone(ctx, job.created)
	}
	return t.remember()
}

// refused decides about a job that was not made.
func (t *exportTask) refused(err error) error {
	s, code := t.state, codeOf(err)
	if code == 0 || tooSlow(err) || martsync.KindOf(err) == martsync.Transient {
		return err // the vendor may have made it nevertheless
	}
	s.Since = 0
	switch code {
	case 174, 175, 176: // procedure, argument, missing argument
		if s.Procedure+1 < len(t.object.procedures) {
			s.Procedure++
			return t.remember()
		}
	case 51, 130, 180, 224: // fields
		if t.drop(err) {
			return t.remember()
		}
	}
	if martsync.KindOf(err).Waits() {
		if e := t.remember(); e != nil {
			return e
		}
		return err
	}
	if cannotExport(code) {
		return fmt.Errorf("%w: %w", errNoExport, err)
	}
	return err
}

// cannotExport reports whether a code says that the account, its edition or its version of the
// API does not export this. Account Engagement API, Error Codes.
func cannotExport(code int) bool {
	switch code {
	case 2, 22, // action, version
		46,                          // the user may not
		51, 130, 153, 154, 180, 224, // fields and properties
		174, 175, 176, 177, // procedure and arguments
		192, 198: // object, endpoint
		return true
	}
	return false
}

// drop leaves out the field that the vendor refuses. Where it does not tell which one, it leaves
// out those that not every account has.
func (t *exportTask) drop(err error) bool {
	names := t.asked()
	if names == nil {
		return false
	}
	bad := unknownField(err)
	if !slices.Contains(names, bad) {
		bad = mentioned(err.Error(), names)
	}
	wishes := make(map[string]bool)
	for _, f := range t.fields {
		wishes[f.name] = f.wish
	}
	if bad == "" {
		before := len(t.state.Refused)
		for _, name := range names {
			if wishes[name] {
				t.state.Refused = append(t.state.Refused, name)
			}
		}
		return len(t.state.Refused) > before
	}
	if bad == "id" {
		return false
	}
	t.state.Refused = append(t.state.Refused, bad)
	if !wishes[bad] {
		t.note("schema", "field %s of %s is not exported: %v", bad, t.stream, err)
	}
	return true
}

// asked are the fields that a job asks for; nil means all there are.
func (t *exportTask) asked() []string {
	var names []string
	for _, f := range t.fields {
		if !slices.Contains(t.state.Refused, f.name) {
			names = append(names, f.name)
		}
	}
	if len(names) > exportFieldsMost {
		return nil
	}
	return names
}

// look asks for the state of the job and acts on what has become of it.
func (t *exportTask) look(ctx context.Context) error {
	s := t.state
	if due := s.due(); t.now() < due {
		return t.wait("created")
	}
	job, calls, err := t.api.read(ctx, t.noun, s.ID)
	t.count(0, 0, calls)
	switch {
	case gone(err):
		return t.again(ctx, "the vendor has lost it")
	case err != nil && s.Taken && codeOf(err) == 46:
		return t.foreign(ctx, "this user may not read it")
	case err != nil:
		return err
	}
	s.Asked = t.now()
	age := s.Asked.sub(s.Since)
	switch {
	case job.expired:
		return t.again(ctx, "it expired")
	case job.state == exportComplete:
		s.Complete, t.refs = true, append([]string{}, job.refs...)
		return t.remember()
	case job.state == exportFailed || job.state == exportCanceled:
		return t.again(ctx, "the vendor says "+job.state)
	case job.state == exportProcessing && age > exportWorkMost, age > exportWaitMost:
		return t.again(ctx, fmt.Sprintf("it was %s for %s", job.state, age))
	}
	if err := t.remember(); err != nil {
		return err
	}
	return t.wait(job.state)
}

// wait says how long it makes no sense to ask again.
func (t *exportTask) wait(state string) error {
	s := t.state
	e := &martsync.Error{
		Kind: martsync.Pending, Op: "pardot: export " + t.stream, After: s.due().sub(t.now()),
		Err: fmt.Errorf("export %d is %s", s.ID, state),
	}
	if t.now().sub(s.Since) > exportWaitLong {
		e.Hint = "The business unit's exports run one after another; see whether others are ahead of it, in Account Engagement under Exports."
	}
	return e
}

// again gives up a job and makes its range planned anew, from the second time on half of it. When
// that does not help either, exports are given up.
func (t *exportTask) again(ctx context.Context, why string) error {
	s := t.state
	if s.Taken {
		return t.foreign(ctx, why)
	}
	t.src.env.Log.WarnContext(ctx, "export job given up", "stream", t.stream, "job", s.job(), "err", why)
	t.note("export job", "export %d for %s to %s given up: %s", s.ID, stamp(s.From), stamp(s.To), why)
	s.Tries++
	s.Fails++
	s.forget()
	t.refs = nil
	length := s.To.sub(s.From)
	if s.Fails >= exportFailures || s.Tries >= exportTries && length/2 < exportShortest {
		return fmt.Errorf("%w: %d jobs came to nothing, the last one since %s", errNoExport, s.Fails, why)
	}
	if s.Tries >= exportTries {
		s.To = s.From + (s.To-s.From)/2
		t.to, s.Halved = s.To, true
		t.halve(s.To)
		s.Tries = exportTries - 1 // the next failure halves it again at once
	}
	return t.remember()
}

// mentioned returns the one of the names that stands in a message as a word, "" if none does.
func mentioned(message string, names []string) string {
	words := strings.FieldsFunc(message, func(r rune) bool {
		return r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	for _, w := range words {
		if w = strings.Trim(w, "."); w != "id" && slices.Contains(names, w) {
			return w
		}
	}
	return ""
}
