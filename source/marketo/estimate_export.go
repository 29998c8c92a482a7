package marketo

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

const (
	// sampleWindows is how many short ranges are exported.
	sampleWindows = 3

	// sampleShare is the part of the day's export bytes that they are meant to take together.
	sampleShare = 0.01

	// sampleLongest bounds one of them, and is also its length where nothing is known.
	sampleLongest, sampleBlind, sampleShortest = 7 * 24 * time.Hour, time.Hour, time.Minute

	// sampleWait is how long its job is waited for.
	sampleWait = 45 * time.Minute

	// sampleCallsLeast is how many calls must be left for it: to make, enqueue and cancel the job, to ask a few times
	// whether it is done, and for its file.
	sampleCallsLeast = 10
)

// A fileSample is what export files of a few short ranges hold.
type fileSample struct {
	covered time.Duration
	rows    int64
	bytes   int64 // without the first lines
	columns map[string]float64
}

// exportExtent exports a few short ranges of a part and takes them for all of it. The log, if there is one, says how short
// they must be. It waits for the jobs, for minutes. Where exports come to nothing the log is all there is.
func (s *source) exportExtent(ctx context.Context, st *rangeStream, spec *partSpec, w window, l *logSample) (extent, error) {
	x := extent{rows: -1, bytes: -1, basis: martsync.Assumed}
	perSecond := 0.0
	if l != nil {
		x = l.extent(spec.fields)
		x.shares = s.typeShares(ctx, l.types)
		perSecond = x.bytes / max(w.length().Seconds(), 1)
	}
	length := sampleBlind
	if perSecond > 0 {
		most := sampleShare * float64(s.cfg.Limits.ExportQuotaMegabytes) * 1e6 / sampleWindows / perSecond
		length = max(time.Duration(min(most, sampleLongest.Seconds()))*time.Second, sampleShortest)
	}
	f := &fileSample{columns: map[string]float64{}}
	part := w.length() / sampleWindows
	for i := range sampleWindows {
		from := w.From.add(time.Duration(i)*part + max(part-length, 0)/2)
		one := window{From: from, To: min(from.add(min(length, part)), w.To)}
		if one.length() <= 0 {
			continue
		}
		if err := s.exportOne(ctx, spec, one, f); err != nil {
			if ctx.Err() != nil || martsync.KindOf(err) == martsync.Auth {
				return x, err
			}
			x.detail += fmt.Sprintf("; an export to sample was in vain: %v", err)
			return x, nil
		}
	}
	detail := fmt.Sprintf("%d rows of %d exports of %s", f.rows, sampleWindows, min(length, part))
	if l != nil {
		// The log was looked into at many more places, so it knows better how many there are; files know how large.
		if f.rows > 0 && l.rows > 0 {
			times := float64(f.bytes) / float64(f.rows) * l.rows / max(x.bytes, 1)
			x.bytes *= times
			for i := range x.shares {
				x.shares[i].Bytes = whole(float64(x.shares[i].Bytes) * times)
			}
		}
		x.detail += "; " + detail
		return x, nil
	}
	times := w.length().Seconds() / max(f.covered.Seconds(), 1)
	x = extent{rows: float64(f.rows) * times, bytes: float64(f.bytes) * times, basis: martsync.Sampled, detail: detail}
	for _, name := range spec.fields {
		column := name
		if i := slices.IndexFunc(st.schema.Columns, func(c martsync.Column) bool { return c.Origin == name }); i >= 0 {
			column = st.schema.Columns[i].Name
		}
		x.shares = append(x.shares, martsync.Share{Name: column, Bytes: whole(f.columns[name] * times)})
	}
	x.shares = largest(x.shares)
	return x, nil
}

// exportOne exports a range, waits for it and counts what is in its file.
func (s *source) exportOne(ctx context.Context, spec *partSpec, w window, f *fileSample) error {
	o := exportOptions{by: byUpdate}
	if spec.types != nil {
		types, err := spec.types(ctx)
		if err != nil {
			return err
		}
		o.types = types
	}
	if a, ok := ctx.Value(allowanceKey{}).(*allowance); ok && a.spare() < sampleCallsLeast {
		return &martsync.Error{Kind: martsync.Quota, Err: errAllowance}
	}
	release := keep(ctx, 1) // to cancel the job
	defer release()
	v, err := s.createJob(ctx, spec.object, spec.fields, spec.object.filter(w, o))
	if err != nil {
		return err
	}
	if v == nil || !validID(v.ExportID) {
		return errors.New("the vendor did not tell the job's id")
	}
	s.client.meter.exported(1, 0)
	id := v.ExportID
	giveUp := func(cause error) error {
		release()
		if err := s.cancelJob(context.WithoutCancel(ctx), spec.object, id); err != nil {
			s.env.Log.DebugContext(ctx, "cancel the sample", "job", id, "err", err)
		}
		return cause
	}
	if _, err := s.enqueueJob(ctx, spec.object, id); err != nil {
		return giveUp(err)
	}
	for began := s.now(); ; {
		if err := s.env.Clock.Sleep(ctx, statusEvery); err != nil {
			return giveUp(err)
		}
		v, err := s.jobStatus(ctx, spec.object, id)
		switch {
		case errors.Is(err, errAllowance):
			return giveUp(err)
		case err != nil && !martsync.KindOf(err).Waits():
			return err
		case err != nil || v == nil: // the vendor did not say; it will
		case v.state() == completed:
			release()
			if v.FileSize != nil {
				s.client.meter.exported(0, *v.FileSize)
			}
			return s.countFile(ctx, spec, id, w, v, f)
		case v.state() == failed || v.state() == cancelled:
			return fmt.Errorf("job %s is %s", id, v.state())
		}
		if s.now().Sub(began) > sampleWait {
			return giveUp(fmt.Errorf("job %s was not done after %s", id, sampleWait))
		}
	}
}

// countFile counts the rows of a file, and the bytes of its columns.
func (s *source) countFile(ctx context.Context, spec *partSpec, id string, w window, v *vendorJob, f *fileSample) (err error) {
	f.covered += w.length()
	if v.Records != nil && *v.Records == 0 {
		return nil
	}
	body, _, err := s.client.file(ctx, spec.object.path(id, "file.json"), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	r := csv.NewReader(body)
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("file of job %s: %w", id, err)
	}
	header = slices.Clone(header)
	start := r.InputOffset()
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			f.bytes += r.InputOffset() - start
			return nil
		}
		if err != nil {
			return fmt.Errorf("file of job %s: %w", id, err)
		}
		f.rows++
		for i, cell := range row {
			if i < len(header) {
				f.columns[header[i]] += float64(csvBytes(cell) + 1)
			}
		}
	}
}
