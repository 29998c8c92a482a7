package marketo

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// What hangs on something else is estimated by a few of its parents: members by programs, tokens by folders, segments by
// segmentations.

// Of how many programs the members are looked at, of how many folders and programs the tokens, and of how many segmentations the
// segments, where calls are few.
const peekPrograms, peekFolders, peekSegmentations = 4, 4, 2

// spread are n of the ids, spread over all.
func spread[T any](all []T, n int) []T {
	n = min(n, len(all))
	few := make([]T, 0, n)
	for i := range n {
		few = append(few, all[(2*i+1)*len(all)/(2*n)])
	}
	return few
}

// estimateProgramMembers looks at the members of a few programs, a page of each.
func (s *source) estimateProgramMembers(ctx context.Context, st *programMembers, e *martsync.Estimate) error {
	release := keep(ctx, lookPrograms)
	programs, err := s.assetSize(ctx, assets[0].stream)
	release()
	if err != nil {
		return err
	}
	jobs := float64((programs.rows + programsAJob - 1) / programsAJob)
	calls := jobs*jobCalls + walksOf(programs.pages)
	var members float64
	var leads []int64
	looked, cut, of := 0, 0, int64(0)
	for _, id := range spread(programs.ids(), peekPrograms*s.effort()) {
		p, err := s.peek(ctx, request{
			op: "look at program members", path: fmt.Sprintf("/rest/v1/leads/programs/%d.json", id), query: url.Values{"fields": {"id"}}, optional: true,
		})
		switch {
		case spentUp(err):
		case vanished(err):
			looked++
			continue
		case err != nil:
			return err
		}
		if err != nil {
			break
		}
		times := 1.0
		if p.more {
			newest, err := s.newestLead(ctx)
			if err != nil && !spentUp(err) {
				return err
			}
			times, cut = p.whole(newest), cut+1
		}
		looked++
		if members += float64(len(p.ids)) * times; len(p.ids) > len(leads) {
			leads, of = p.ids, id
		}
	}
	if looked == 0 && programs.rows > 0 {
		unknownAsSpent(e, calls)
		e.Costs = costs(calls, 0, jobs)
		return nil
	}
	rows := members / float64(max(looked, 1)) * float64(programs.rows)
	row, err := s.memberBytes(ctx, st, of, leads)
	if err != nil {
		return err
	}
	header := float64(len(strings.Join(st.fields, ",")) + 1)
	bytes := rows*row + jobs*header
	e.Rows, e.Bytes, e.Basis, e.Open = whole(rows), whole(bytes), martsync.Sampled, programs.open
	e.Detail = fmt.Sprintf("%d of %d programs looked at", looked, programs.rows)
	if cut > 0 {
		e.Detail += fmt.Sprintf("; %d of them only up to %d members, the ids of which tell how many there are about", cut, leadPage)
	}
	e.Costs = costs(calls, bytes, jobs)
	mayErr(e)
	if programs.basis() == martsync.Sampled {
		e.Most = costs(sampleError*calls, sampleError*bytes, sampleError*jobs)
	}
	if jobs > 0 {
		if err := s.learnExported(ctx); err != nil && !spentUp(err) {
			return err
		}
	}
	return nil
}

// cellGuess is how many bytes a cell takes, with its comma, where no record could be looked at.
const cellGuess = 12

// memberBytes is how many bytes a member of a program takes in a file, by a page of them.
func (s *source) memberBytes(ctx context.Context, st *programMembers, program int64, leads []int64) (float64, error) {
	guess := float64(cellGuess * len(st.fields))
	if len(leads) == 0 {
		return guess, nil
	}
	const few = 100
	env, err := s.client.do(ctx, request{
		op: "look at program members", path: fmt.Sprintf("/rest/v1/programs/%d/members.json", program), optional: true,
		query: url.Values{"filterType": {"leadId"}, "filterValues": {join(spread(leads, few))}, "fields": {strings.Join(st.fields, ",")}},
	})
	if err != nil {
		if ctx.Err() != nil || martsync.KindOf(err) == martsync.Auth {
			return 0, err
		}
		return guess, nil // the role may list them and not read them so
	}
	if n, bytes := rowBytes(env, st.fields); n > 0 {
		return bytes / n, nil
	}
	return guess, nil
}

// rowBytes is how many bytes the records of a page would take in a file.
func rowBytes(env *envelope, fields []string) (n, bytes float64) {
	for _, raw := range env.Result {
		l := sampledLead{raw: raw}
		for _, f := range fields {
			bytes += float64(csvBytes(l.field(f)) + 1)
		}
		n++
	}
	return n, bytes
}

// estimateTokens asks a few folders and programs for theirs.
func (s *source) estimateTokens(ctx context.Context, e *martsync.Estimate) error {
	folders, programs, err := s.tokenParents(ctx)
	if err != nil {
		return err
	}
	// Programs may be among the folders; each is asked once.
	var plain []int64
	for _, raw := range folders.seen {
		if p, err := placeOf(raw); err == nil && !p.program {
			plain = append(plain, p.id)
		}
	}
	slices.Sort(plain)
	plain = slices.Compact(plain)
	kinds := []*tokenPlaces{
		{ids: plain, all: float64(folders.rows) * float64(len(plain)) / float64(max(len(folders.seen), 1))},
		{program: true, ids: programs.ids(), all: float64(programs.rows)},
	}
	places := kinds[0].all + kinds[1].all
	calls := walksOf(folders.pages) + walksOf(programs.pages) + places
	each := peekFolders * s.effort() / len(kinds)
	for i := range each { // in turns: if calls run out both should be known
		for _, k := range kinds {
			few := spread(k.ids, each)
			if i >= len(few) {
				continue
			}
			if err := k.look(ctx, s, few[i]); err != nil && !spentUp(err) {
				return err
			}
		}
	}
	var rows, bytes float64
	looked := 0
	for _, k := range kinds {
		if k.asked == 0 && len(k.ids) > 0 {
			unknownAsSpent(e, calls)
			return nil
		}
		looked += k.asked
		rows += k.found / float64(max(k.asked, 1)) * k.all
		bytes += k.read / float64(max(k.asked, 1)) * k.all
	}
	e.Rows, e.Bytes, e.Basis, e.Open = whole(rows), whole(bytes), martsync.Sampled, folders.open || programs.open
	e.Detail = fmt.Sprintf("%d of %.0f folders and programs looked at", looked, places)
	e.Costs = costs(calls, 0, 0)
	if folders.basis() == martsync.Sampled || programs.basis() == martsync.Sampled {
		mayErr(e)
	}
	return nil
}

// tokenParents tells how many folders and programs there are, and leaves calls to ask a few of them.
func (s *source) tokenParents(ctx context.Context) (folders, programs *size, err error) {
	defer keep(ctx, lookTokens)()
	if folders, err = s.pathSize(ctx, "folders", foldersPath, url.Values{"maxDepth": {foldersDeep}}); err != nil {
		return nil, nil, err
	}
	programs, err = s.assetSize(ctx, assets[0].stream)
	return folders, programs, err
}

// tokenPlaces are the folders or the programs, and what a few of them have.
type tokenPlaces struct {
	program bool
	ids     []int64 // that are known
	all     float64 // how many there are

	asked       int
	found, read float64 // tokens of those, and bytes
}

// look asks one of them for its tokens.
func (k *tokenPlaces) look(ctx context.Context, s *source, id int64) error {
	p := place{id, k.program}
	reply, err := s.reply(ctx, "list the tokens of "+p.String(), fmt.Sprintf("%sfolder/%d/tokens.json", assetRoot, id), url.Values{"folderType": {p.kind()}})
	if spentUp(err) {
		return err
	}
	if k.asked++; vanished(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, raw := range reply.env.Result {
		if tokens, err := tokenRows(raw, p.String()); err == nil {
			k.found += float64(len(tokens))
		}
	}
	k.read += float64(reply.env.Bytes)
	return nil
}

// estimateListing reads the listing's first page, and looks for its last one.
func (s *source) estimateListing(ctx context.Context, st *listingStream, e *martsync.Estimate) error {
	l := st.listing
	e.Basis = martsync.Counted
	switch {
	case l.stream == "segments":
		return s.estimateSegments(ctx, e)
	case l.stream == "lead_fields" || l.stream == "activity_types":
		return s.estimateDescribed(ctx, l.stream, e)
	case l.cheap || l.path == segmentationPath: // a single call is all it takes
		e.Detail = "read"
		for p, err := range l.pages(ctx, s, l) {
			if err != nil {
				return err
			}
			for _, raw := range p.env.Result {
				if rows, err := l.of(raw, p.parent); err == nil {
					e.Rows += int64(len(rows))
				}
			}
			e.Bytes += p.env.Bytes
			if l.path == segmentationPath {
				s.estimates.sizes[l.stream] = &size{rows: e.Rows, seen: p.env.Result}
			}
		}
		e.Costs = costs(1, 0, 0)
		return nil
	}
	q := url.Values{}
	if l.path == foldersPath {
		q.Set("maxDepth", foldersDeep)
	}
	z, err := s.pathSize(ctx, l.stream, l.path, q)
	if err != nil {
		return err
	}
	e.Rows, e.Bytes, e.Basis, e.Open, e.Detail = z.rows, z.bytes, z.basis(), z.open, z.detail()
	calls := walksOf(z.pages)
	if l.stream == "tags" && z.rows > 0 { // each is read by its name, and that twice: they count as pages
		calls = 2 * (float64(z.pages+1) + float64(z.rows))
		e.Bytes *= 5 // a type says more of itself, and each walk counts
		e.Detail += ", and each is read by name"
	}
	e.Costs = costs(calls, 0, 0)
	if e.Basis == martsync.Sampled {
		mayErr(e)
	}
	return nil
}

// What a field of leads and a type of activities take in a page: about the mean of the vendor's samples.
const fieldBytes, typeBytes = 150, 350

// estimateDescribed is about what every source has read to list its streams.
func (s *source) estimateDescribed(ctx context.Context, stream string, e *martsync.Estimate) error {
	var n, each int
	if stream == "lead_fields" {
		fields, err := s.describe(ctx)
		if err != nil {
			return err
		}
		n, each = len(fields), fieldBytes
	} else {
		types, err := s.activityTypes(ctx)
		if err != nil {
			return err
		}
		n, each = len(types), typeBytes
	}
	e.Rows, e.Bytes, e.Detail = int64(n), int64(n*each), "described"
	e.Costs = costs(1, 0, 0)
	return nil
}

// estimateSegments looks at the segments of a few segmentations, of which there are some twenty at most.
func (s *source) estimateSegments(ctx context.Context, e *martsync.Estimate) error {
	parents := s.estimates.sizes["segmentations"]
	if parents == nil {
		p, err := s.reply(ctx, "list segmentations", segmentationPath, nil)
		if err != nil {
			return err
		}
		parents = &size{rows: int64(len(p.env.Result)), seen: p.env.Result}
	}
	var rows, bytes, calls float64
	looked := 0
	for _, id := range spread(parents.ids(), peekSegmentations*s.effort()) {
		p, err := s.reply(ctx, "list segments", assetRoot+"segmentation/"+strconv.FormatInt(id, 10)+"/segments.json", url.Values{"offset": {"0"}, "maxReturn": {strconv.Itoa(assetPage)}})
		if spentUp(err) {
			break
		}
		if looked++; vanished(err) {
			continue
		}
		if err != nil {
			return err
		}
		n := float64(len(p.env.Result))
		rows, bytes, calls = rows+n, bytes+float64(p.env.Bytes), calls+1+min(n, 1)
	}
	if looked == 0 && parents.rows > 0 {
		unknownAsSpent(e, 2*float64(1+parents.rows))
		return nil
	}
	times := float64(parents.rows) / float64(max(looked, 1))
	walks := 1.0
	if parents.rows > 1 {
		walks = 2
	}
	e.Rows, e.Bytes = whole(math.Round(rows*times)), whole(walks*bytes*times)
	e.Basis, e.Detail = martsync.Sampled, fmt.Sprintf("%d of %d segmentations looked at", looked, parents.rows)
	if looked == int(parents.rows) {
		e.Basis = martsync.Counted
	}
	e.Costs = costs(walks*(1+calls*times), 0, 0)
	return nil
}
