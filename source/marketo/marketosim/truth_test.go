package marketosim

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// fits reports whether a cell or JSON value on the wire means the truth's value.
func fits(wire string, missing bool, truth any) bool {
	switch v := truth.(type) {
	case nil:
		return missing
	case simulate.OneOf:
		for _, o := range v {
			if fits(wire, missing, o) {
				return true
			}
		}
		return false
	case string:
		return !missing && (wire == v || v == "" && wire == "")
	case int64:
		return wire == fmt.Sprint(v) || wire == fmt.Sprint(v)+".0"
	case float64:
		return wire == strings.TrimSuffix(fmt.Sprint(v), ".0")
	case bool:
		return wire == fmt.Sprint(v)
	case time.Time:
		return wire == v.Format("2006-01-02T15:04:05Z") || wire == v.Format("2006-01-02") || wire == v.Format("2006-01-02T15:04:05Z+0000")
	case json.RawMessage:
		return wire == string(v)
	}
	return false
}

// table reads a whole table by bulk extract, in windows of 31 days, into rows by key.
func (a *account) table(obj, key string, fields []string, from time.Time) map[string]map[string]string {
	a.t.Helper()
	rows := map[string]map[string]string{}
	for at := from; !at.After(a.clock.Now()); at = at.AddDate(0, 0, 31) {
		body := object{"fields": fields, "filter": between31("createdAt", at, at.AddDate(0, 0, 31).Add(-time.Second))}
		_, p := a.export(obj, body)
		if bytes.Contains(p, []byte("\r")) {
			p = bytes.ReplaceAll(p, []byte("\r\n"), []byte("\ue000\n")) // encoding/csv would drop the CR
		}
		records, err := csv.NewReader(bytes.NewReader(p)).ReadAll()
		if err != nil {
			a.t.Fatal(err)
		}
		for _, r := range records[1:] {
			m := map[string]string{}
			for i, f := range fields {
				m[f] = strings.ReplaceAll(r[i], "\ue000\n", "\r\n")
			}
			if rows[m[key]] != nil {
				a.t.Errorf("%s %s comes twice", obj, m[key])
			}
			rows[m[key]] = m
		}
	}
	return rows
}

// jsonNull is what stands for null where an empty text is something else.
const jsonNull = "\x00"

// compare checks that rows are exactly those of the truth.
func compare(t *testing.T, name string, rows map[string]map[string]string, key string, null string, truth iter.Seq[simulate.Row]) {
	t.Helper()
	shown, wrong := 0, 0
	for r := range truth {
		k := fmt.Sprint(r.Values[key])
		got := rows[k]
		if r.Gone {
			if got != nil {
				t.Errorf("%s %s is gone and was read", name, k)
			}
			continue
		}
		shown++
		if got == nil {
			t.Errorf("%s %s was not read", name, k)
			continue
		}
		for c, v := range got {
			if want, ok := r.Values[c]; !ok || !fits(v, v == null || v == "" && null != jsonNull, want) {
				if wrong++; wrong < 10 {
					t.Errorf("%s %s, %s: read %q, the truth is %#v", name, k, c, v, want)
				}
			}
		}
	}
	if shown != len(rows) || shown == 0 {
		t.Errorf("%s: read %d rows, the truth has %d", name, len(rows), shown)
	}
}

func (a *account) leadFields() []string {
	var fields []string
	for _, f := range a.sim.state.Load().fields {
		if f.Exportable() {
			fields = append(fields, f.Name)
		}
	}
	return fields
}

func TestTruthIsWhatIsServed(t *testing.T) {
	a := open(t, Config{RateLimit: 100_000, Options: simulate.Options{Rows: 150, Seed: 7}})
	check := func(t *testing.T) {
		t.Helper()
		from := testStart.AddDate(0, 0, -731)
		compare(t, "lead", a.table("leads", "id", a.leadFields(), from), "id", "null", a.sim.Truth("leads"))
		compare(t, "activity", a.table("activities", "marketoGUID", append(activityColumns[:8:8], "actionResult"), from), "marketoGUID", "null", a.sim.Truth("activities"))

		// The same activities over REST.
		rows := map[string]map[string]string{}
		var ids []string
		for _, typ := range a.sim.types.list {
			if typ.id != typeDeleteLead {
				ids = append(ids, fmt.Sprint(typ.id))
			}
		}
		for len(ids) > 0 {
			n := min(10, len(ids))
			list, _ := a.read(all+strings.Join(ids[:n], ","), a.since(from))
			ids = ids[n:]
			for _, e := range list {
				rows[e.MarketoGUID] = eventRow(e)
			}
		}
		compare(t, "activity over REST", rows, "marketoGUID", "", a.sim.Truth("activities"))

		rows = map[string]map[string]string{}
		list, _ := a.read("/rest/v1/activities/deletedleads.json?batchSize=7", a.since(from))
		for _, e := range list {
			rows[e.MarketoGUID] = eventRow(e)
			delete(rows[e.MarketoGUID], "campaignId")
		}
		compare(t, "deletion", rows, "marketoGUID", "", a.sim.Truth("deleted_leads"))

		for _, k := range []struct{ table, path string }{
			{"programs", "programs"}, {"emails", "emails"}, {"smart_campaigns", "smartCampaigns"}, {"static_lists", "staticLists"},
		} {
			rows := map[string]map[string]string{}
			for offset := 0; ; offset += 200 {
				r := a.get(fmt.Sprintf("/rest/asset/v1/%s.json?maxReturn=200&offset=%d", k.path, offset))
				for _, p := range r.Result {
					m := jsonRow(p)
					if k.table == "programs" { // tags and costs come by id only; none may be null there
						for _, n := range []string{"tags", "costs"} {
							if _, told := m[n]; told {
								t.Errorf("the listing of programs tells %s: %s", n, p)
							}
						}
						m = jsonRow(a.get("/rest/asset/v1/program/" + m["id"] + ".json").Result[0])
						if _, told := m["costs"]; !told {
							m["costs"] = "[]"
						}
					}
					rows[m["id"]] = m
				}
				if len(r.Result) < 200 {
					break
				}
			}
			compareAssets(t, k.table, rows, a.sim.Truth(k.table))
		}
		rows = map[string]map[string]string{}
		for _, p := range a.get("/rest/v1/campaigns.json").Result {
			m := jsonRow(p)
			rows[m["id"]] = m
		}
		compareAssets(t, "campaigns", rows, a.sim.Truth("campaigns"))
		checkMerges(t, a)
	}
	t.Run("start", check)
	for round := range 2 {
		a.forward(13 * time.Hour)
		a.sim.Change(80)
		a.clock.Advance(time.Minute)
		t.Run(fmt.Sprintf("after change %d", round+1), check)
	}
}

func eventRow(e event) map[string]string {
	m := map[string]string{"marketoGUID": e.MarketoGUID, "leadId": fmt.Sprint(e.LeadID), "activityDate": e.ActivityDate, "activityTypeId": fmt.Sprint(e.ActivityTypeID), "primaryAttributeValue": "", "campaignId": "", "primaryAttributeValueId": "", "id": ""}
	if e.ID != nil {
		m["id"] = fmt.Sprint(*e.ID)
	}
	if e.CampaignID != nil {
		m["campaignId"] = fmt.Sprint(*e.CampaignID)
	}
	if e.Primary != nil {
		m["primaryAttributeValueId"] = fmt.Sprint(*e.Primary)
	}
	if e.PrimaryValue != nil {
		m["primaryAttributeValue"] = *e.PrimaryValue
	}
	b := []byte("{")
	for i, at := range e.Attributes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(appendJSONText(b, at.Name), ':'), at.Value...)
	}
	m["attributes"] = string(append(b, '}'))
	return m
}

// jsonRow makes text of each member; null is absent.
func jsonRow(p []byte) map[string]string {
	var raws map[string]json.RawMessage
	_ = json.Unmarshal(p, &raws)
	m := map[string]string{}
	for k, v := range raws {
		var s string
		switch {
		case string(v) == "null":
		case json.Unmarshal(v, &s) == nil:
			m[k] = s
		default:
			m[k] = string(v)
		}
	}
	return m
}

func compareAssets(t *testing.T, table string, rows map[string]map[string]string, truth iter.Seq[simulate.Row]) {
	t.Helper()
	shown := 0
	for r := range truth {
		id := fmt.Sprint(r.Values["id"])
		got, ok := rows[id]
		if ok == r.Gone {
			t.Errorf("%s %s: read %v, gone %v", table, id, ok, r.Gone)
		}
		if r.Gone {
			continue
		}
		shown++
		for c, want := range r.Values {
			v, has := got[c]
			if !fits(v, !has, want) {
				t.Errorf("%s %s, %s: read %q, the truth is %#v", table, id, c, v, want)
			}
		}
		for c := range got {
			if _, ok := r.Values[c]; !ok {
				t.Errorf("%s %s: the truth lacks %s", table, id, c)
			}
		}
	}
	if shown != len(rows) {
		t.Errorf("%s: read %d, the truth has %d", table, len(rows), shown)
	}
}

func checkMerges(t *testing.T, a *account) {
	t.Helper()
	list, _ := a.read(all+"32", a.since(testStart.AddDate(0, 0, -60)))
	seen := map[string]event{}
	for _, e := range list {
		var losers []int64
		for _, at := range e.Attributes {
			if at.Name == "Merge Ids" {
				_ = json.Unmarshal(at.Value, &losers)
			}
		}
		for _, l := range losers {
			seen[fmt.Sprint(l)] = e
		}
	}
	n := 0
	for r := range a.sim.Truth("lead_merges") {
		n++
		e, ok := seen[fmt.Sprint(r.Values["loser_id"])]
		if !ok || !fits(fmt.Sprint(e.LeadID), false, r.Values["winner_id"]) || !fits(e.ActivityDate, false, r.Values["merged_at"]) || e.MarketoGUID != r.Values["marketo_guid"] {
			t.Errorf("merge %+v: read %+v", r.Values, e)
		}
		for _, at := range e.Attributes {
			for name, col := range map[string]string{"Merge Source": "merge_source", "Master Updated": "master_updated", "Merged in Sales": "merged_in_sales"} {
				want, _ := json.Marshal(r.Values[col])
				if at.Name == name && string(at.Value) != string(want) {
					t.Errorf("merge %+v: %s is %s", r.Values, name, at.Value)
				}
			}
		}
	}
	if n != len(seen) || n == 0 {
		t.Errorf("merges: read %d, the truth has %d", len(seen), n)
	}
}

func TestChange(t *testing.T) {
	a := open(t, Config{Options: simulate.Options{Rows: 500}})
	a.forward(time.Hour)
	before := a.sim.state.Load()
	said := a.sim.Change(100)
	after := a.sim.state.Load()
	text := strings.Join(said, "\n")
	for _, want := range []string{"updated", "created", "custom fields", "happened", "late", "added to static lists", "removed from static lists", "Assets", "deleted", "merged", "created and deleted"} {
		if !strings.Contains(text, want) {
			t.Errorf("no sentence tells %q:\n%s", want, text)
		}
	}
	for _, s := range said {
		if !strings.HasSuffix(s, ".") || strings.Contains(s, "%!") {
			t.Errorf("not a sentence: %s", s)
		}
	}
	if n := len(after.leads) - len(before.leads); n < 60 || n > 110 {
		t.Errorf("a change of 100 touched %d leads", n)
	}
	if got := a.sim.Change(0); got != nil {
		t.Errorf("a change of nothing: %q", got)
	}
	for n := 1; n < 12; n++ {
		if got := a.sim.Change(n); len(got) == 0 {
			t.Errorf("a change of %d says nothing", n)
		}
	}
	if len(before.leads) != len(a.sim.world.history(before)) {
		t.Error("a change touched the state before it")
	}
}

// history is a helper that counts the leads that had been edited at the start.
func (w *world) history(s *state) map[int64]*edit {
	m := map[int64]*edit{}
	for i, e := range s.leads {
		if max(e.changed, e.deleted) < w.start {
			m[i] = e
		}
	}
	return m
}

func TestSameSeedSameBytes(t *testing.T) {
	fingerprint := func(seed uint64, from time.Duration) string {
		a := open(t, Config{Options: simulate.Options{Seed: seed, Rows: 100}})
		a.forward(time.Hour)
		a.sim.Change(40)
		a.clock.Advance(time.Minute)
		sum := sha256.New()
		_, p := a.export("leads", object{"fields": a.leadFields(), "filter": between31("updatedAt", testStart.Add(-from), testStart.Add(2*time.Hour))})
		sum.Write(p)
		_, p = a.export("activities", object{"filter": between31("createdAt", testStart.Add(-from), testStart.Add(2*time.Hour))})
		sum.Write(p)
		for _, table := range a.sim.Tables() {
			for r := range a.sim.Truth(table) {
				fmt.Fprint(sum, r)
			}
		}
		return hex.EncodeToString(sum.Sum(nil))
	}
	one, two, other := fingerprint(1, 30*24*time.Hour), fingerprint(1, 30*24*time.Hour), fingerprint(2, 30*24*time.Hour)
	if one != two {
		t.Error("the same seed gives other bytes")
	}
	if one == other {
		t.Error("another seed gives the same bytes")
	}
}

// A running export keeps the account as it was when processing started.
func TestExportIsASnapshot(t *testing.T) {
	a := open(t, Config{})
	body := object{"fields": a.leadFields(), "filter": between31("createdAt", testStart.AddDate(0, 0, -31), testStart)}
	_, want := a.export("leads", body)
	id := a.job(a.call("POST", "/bulk/v1/leads/export/create.json", body)).ExportID
	a.want(a.enqueue("leads", id), "")
	a.clock.Advance(10 * time.Second)
	for range 5 {
		a.sim.Change(300)
	}
	j := a.finish("leads", id)
	_, _, got := a.do("GET", "/bulk/v1/leads/export/"+id+"/file.json", nil, nil)
	sum := sha256.Sum256(got)
	if !bytes.Equal(got, want) || j.FileChecksum != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Error("the export shows changes made after it started")
	}
	if _, later := a.export("leads", body); bytes.Equal(later, want) {
		t.Error("a later export shows no changes")
	}
}

func TestConcurrentUse(t *testing.T) {
	a := open(t, Config{RateLimit: 100_000, Concurrency: 100, Options: simulate.Options{Rows: 200}})
	var wg sync.WaitGroup
	for k := range 6 {
		wg.Go(func() {
			for i := range 8 {
				switch k {
				case 0:
					a.sim.Change(20)
				case 1:
					a.clock.Advance(time.Second)
					for range a.sim.Truth([]string{"leads", "activities"}[i%2]) {
					}
				case 2:
					_ = a.get("/rest/asset/v1/programs.json")
					_ = a.sim.Stats()
				case 3:
					_ = a.get("/rest/v1/leads.json?filterType=leadPartitionId&filterValues=3")
				default:
					id := a.create("activities", nil)
					_ = a.enqueue("activities", id)
					_ = a.status("activities", id)
					_, _, _ = a.do("GET", "/bulk/v1/activities/export/"+id+"/file.json", nil, nil)
				}
			}
		})
	}
	wg.Wait()
}

func TestSimulatorValue(t *testing.T) {
	in, err := Simulator.New(simulate.Options{Rows: 50, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	c := in.SourceConfig("http://127.0.0.1:1")
	if c["endpoint"] != "http://127.0.0.1:1" || c["client_id"] == "" || c["client_secret"] == "" {
		t.Errorf("configuration: got %v", c)
	}
	for _, table := range in.Tables() {
		n := 0
		for range in.Truth(table) {
			n++
		}
		if told := table == "api_usage" || table == "api_errors"; (n == 0) != told { // those begin with the first question
			t.Errorf("table %s: the truth has %d rows", table, n)
		}
	}
	for range in.Truth("nonsense") {
		t.Error("an unknown table has rows")
	}
	for _, c := range []Config{{Options: simulate.Options{Rows: -1}}, {LeadSpan: time.Minute}, {ActivitySpan: -time.Hour}, {PerLead: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("an impossible account was accepted: %+v", c)
		}
	}
	if s, err := New(Config{Options: simulate.Options{Rows: 1}, LeadSpan: time.Hour, ActivitySpan: time.Hour}); err != nil || len(s.Change(40)) == 0 {
		t.Errorf("a tiny account: %v", err)
	}
}
