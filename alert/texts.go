package alert

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
)

// message writes the message about an entry. Since is the level that the reader knows of.
func (w *Watcher) message(sync string, e *entry, what status, now time.Time, since int64) Message {
	s, ok := w.syncs[sync]
	if !ok {
		s = Sync{Name: sync, Zone: time.UTC}
	}
	m := Message{Event: e.Event, Status: string(what), Sync: sync, Run: e.Run, At: now, Since: e.Since}
	switch {
	case what == over:
		m.Event = Recovery
		overText(&m, e, s)
	case e.Event == Late:
		lateText(&m, e, s)
	case e.Event == Quota:
		quotaText(&m, e, s)
	case e.Event == Schema:
		schemaText(&m, e, since)
	case e.Event == Quarantine:
		quarantineText(&m, e, s, since)
	default:
		failureText(&m, e, s, now)
	}
	if what == reminder {
		m.Title = "Reminder: " + m.Title
	}
	m.Title = cut(m.Title, maxTitle)
	return m
}

// failureText is for failures, also those of credentials.
func failureText(m *Message, e *entry, s Sync, now time.Time) {
	kind := kindNamed(e.Kind)
	part := len(e.Streams) > 0 && len(e.Streams) < e.Of
	switch {
	case kind == martsync.Auth:
		m.Title = s.Name + ": a credential or permission was refused"
	case part && len(e.Streams) == 1:
		m.Title = fmt.Sprintf("%s: stream %s failed", s.Name, e.Streams[0])
	case part:
		m.Title = fmt.Sprintf("%s: %d of %d streams failed", s.Name, len(e.Streams), e.Of)
	default:
		m.Title = s.Name + " failed"
	}
	m.add("What", e.Error)
	if len(e.Streams) > 1 {
		m.add("Streams", some(e.Streams))
	}
	m.add("Since", lasting(e, s, now))
	stays := "Nothing is lost: what was committed stays, and the next run goes on from there. Until then the tables get older."
	switch {
	case part && len(e.Streams) == 1:
		stays = fmt.Sprintf("Nothing is lost: the table of %s stays as it is, and the next run goes on from there. The other streams go on.", e.Streams[0])
	case part:
		stays = "Nothing is lost: the tables of these streams stay as they are, and the next run goes on from there. The other streams go on."
	}
	m.add("At risk", stays)
	m.add("Next", nextRun(kind, s, now))
	m.add("Do", sentence(cmp.Or(e.Hint, remedy(kind, s))))
	look := "martsync logs " + s.Name
	if kind == martsync.Auth || kind == martsync.Config {
		look = "martsync check"
	}
	if e.Run != "" && look != "martsync check" {
		look += " --run " + e.Run
	}
	m.add("Look", look)
}

// nextRun says what happens if nobody does anything.
func nextRun(kind martsync.Kind, s Sync, now time.Time) string {
	var next time.Time
	if s.Schedule != nil {
		next = s.Schedule.Next(now, s.Zone)
	}
	switch {
	case next.IsZero() && kind == martsync.Transient:
		return "Time may cure this: the next martsync sync " + s.Name + " tries again."
	case next.IsZero():
		return "The next martsync sync " + s.Name + " tries again."
	case kind == martsync.Transient:
		return "Time may cure this: martsync serve tries again within the hour, and the schedule does at " + when(next, s.Zone) + "."
	}
	return "The schedule tries again at " + when(next, s.Zone) + "."
}

// remedy is what to do about an error that does not say so itself.
func remedy(kind martsync.Kind, s Sync) string {
	switch kind {
	case martsync.Internal:
		return "this looks like a bug in martsync: run martsync sync " + s.Name + " -vv and report what it prints"
	case martsync.Config:
		return "correct the configuration; martsync check says where"
	case martsync.Auth:
		return "renew the credential or grant the permission; martsync check says which"
	case martsync.Data:
		return "decide about the records that the error names, then run martsync sync " + s.Name
	default:
		return "nothing, if it does not come again; else see whether the vendor and the destination can be reached"
	}
}

func lateText(m *Message, e *entry, s Sync) {
	m.Title = s.Name + " is late"
	m.add("What", fmt.Sprintf("It had to be complete by %s and is not.", e.Due))
	m.add("Because", strings.Join(e.Detail, " "))
	m.add("At risk", "Nothing is lost: the next run reads everything since the last one. Until then the tables get older.")
	do := "see that what starts it lives: martsync serve, or the timer; by hand: martsync sync " + s.Name
	if e.Hint != "" {
		do = e.Hint
	}
	m.add("Do", sentence(do))
	m.add("Look", "martsync status "+s.Name)
}

func quotaText(m *Message, e *entry, s Sync) {
	m.Title = fmt.Sprintf("%s: %s at %d %% of the day's limit", s.Name, e.About, e.Level)
	m.add("What", fmt.Sprintf("%s of %s are spent.", amount(e.Spent, e.Unit), amount(e.Limit, e.Unit)))
	m.add("Since", when(e.Since, s.Zone))
	m.add("At risk", "Nothing is lost: when the limit is reached, martsync waits until the vendor resets it and goes on by itself. Other programs of the account are refused until then.")
	m.add("Do", "Have the syncs read less (fewer streams or fields, a later start), move them to another day, or have the vendor raise the limit.")
	m.add("Look", "martsync runs "+s.Name)
}

func amount(n int64, unit string) string {
	if unit == "bytes" {
		return report.Bytes(n)
	}
	return report.Count(n) + " " + unit
}

func schemaText(m *Message, e *entry, since int64) {
	news := e.Level - since
	m.Title = fmt.Sprintf("%s: %s of the tables", m.Sync, report.Plural(news, "change", "changes"))
	lines := e.Detail[max(0, len(e.Detail)-int(news)):]
	for _, l := range lines {
		stream, change, _ := strings.Cut(l, ": ")
		m.add(stream, change)
	}
	if more := news - int64(len(lines)); more > 0 {
		m.add("More", report.Plural(more, "change", "changes")+" before these")
	}
	m.add("At risk", "Nothing is lost: a column that left the source stays in the table with its values; a new one is filled from now on.")
	m.add("Do", "Tell those who read the tables. To fill a new column of older records: martsync sync "+m.Sync+" --backfill --stream NAME.")
	m.add("Look", "martsync streams")
}

func quarantineText(m *Message, e *entry, s Sync, since int64) {
	news := e.Level - since
	m.Title = fmt.Sprintf("%s: %s set aside", s.Name, report.Plural(news, "row was", "rows were"))
	m.add("What", "What the vendor sent for them could not become a record. Each is in the table _martsync_quarantine as it came, with the reason.")
	m.add("Streams", some(e.Streams))
	if e.Level > news {
		m.add("In all", fmt.Sprintf("%s since %s", report.Plural(e.Level, "row", "rows"), when(e.Since, s.Zone)))
	}
	m.add("At risk", "Nothing is lost, but the tables lack these rows. All others were loaded.")
	m.add("Do", "Read the reasons: select stream, reason, count(*) from _martsync_quarantine group by 1, 2.")
	m.add("Look", "martsync logs "+s.Name+" --run "+e.Run)
}

func overText(m *Message, e *entry, s Sync) {
	switch e.Event {
	case Quota:
		m.Title = fmt.Sprintf("%s: %s are back at %d %% of the limit", s.Name, e.About, e.Level)
	case Late:
		m.Title = s.Name + " is no longer late"
	default:
		m.Title = s.Name + " works again"
	}
	m.add("What", fmt.Sprintf("It is over since %s, after %s.", when(e.Over, s.Zone), report.Duration(e.Over.Sub(e.Since))))
	if e.Error != "" {
		m.add("Was", e.Error)
	}
	if e.Event != Quota {
		m.add("Now", "The last run was complete: the tables have everything up to it.")
	}
	m.add("Do", "Nothing.")
	m.add("Look", "martsync status "+s.Name)
}

// lasting says since when something is so.
func lasting(e *entry, s Sync, now time.Time) string {
	text := when(e.Since, s.Zone)
	if d := now.Sub(e.Since); d >= time.Minute {
		text += fmt.Sprintf(" (%s", report.Ago(e.Since, now))
		if e.Times > 1 {
			text += ", " + report.Plural(int64(e.Times), "run", "runs")
		}
		text += ")"
	}
	return text
}

// some names the first of many.
func some(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// sentence begins with a capital, unless that would change a command or a name, and ends with a stop.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if first != "martsync" && !strings.ContainsAny(first, "._-:/$=") && first != "" {
		s = strings.ToUpper(first[:1]) + s[1:]
	}
	if s != "" && !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "!") {
		s += "."
	}
	return s
}
