package pardot

import "encoding/json"

// keepValues keeps what completes rows by their ids.
func (p *replay) keepValues(h *recipe, rep *reply) error {
	if p.values == nil {
		p.values = map[int64]*joinedRow{}
	}
	if h.ID != 0 {
		raw, err := h.record(rep)
		if err != nil {
			return err
		}
		if p.values[h.ID] == nil {
			_, found := h.values(raw)
			p.values[h.ID] = &joinedRow{known: true, found: found}
		}
		return nil
	}
	rows, err := h.records(rep)
	if err != nil {
		return err
	}
	for _, raw := range rows {
		if id, found := h.values(raw); id > 0 && p.values[id] == nil {
			p.values[id] = &joinedRow{known: true, found: found}
		}
	}
	return nil
}

// keepDetails keeps what completes one row.
func (p *replay) keepDetails(h *recipe, rep *reply) error {
	raw, err := h.record(rep)
	if err != nil {
		return err
	}
	more, err := h.details(raw)
	if p.details == nil {
		p.details = map[int][]complement{}
	}
	p.details[h.Row] = append(p.details[h.Row], more...)
	return err
}

// complete completes the rows of a page with what came before it.
func (p *replay) complete(rows []json.RawMessage) []json.RawMessage {
	for i, raw := range rows {
		raw = withMembers(raw, p.details[i])
		if len(p.values) > 0 {
			raw = withValues(raw, p.values)
		}
		rows[i] = raw
	}
	p.values, p.details = nil, nil
	return rows
}
