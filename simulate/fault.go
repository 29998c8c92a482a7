package simulate

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A FaultInfo describes a fault that a simulator can be asked for.
type FaultInfo struct {
	Name string            // "cut"
	Help string            // one sentence for people
	Keys map[string]string // its own keys with their defaults, beside those of ParseFault
}

// A Fault is a rule: what goes wrong, and on which requests.
type Fault struct {
	Name string
	Args map[string]string // the fault's own keys, defaults filled in

	method string
	path   string
	client string
	nth    int
	skip   int
	every  int
	times  int // 0: always
	chance float64

	seen  int
	fired int
}

// ParseFault reads "name[:key=value,…]". A fault happens on the requests its rule selects:
//
//	path=P     whose path contains P; a * in P stands for any text, and then P is the whole path
//	method=M   with this method
//	client=C   of this API user (its client id)
//	skip=N     after the first N of them
//	nth=N      on the Nth of them only
//	every=N    on every Nth of them
//	p=0.1      with this probability, decided by the seed
//	times=N    at most N times; 0: no limit. Without nth, every and p the default is 1
//
// and has keys of its own, which its FaultInfo lists with their defaults. A value may not hold a
// comma, except that of the last key if the key is message.
func ParseFault(text string, known []FaultInfo) (*Fault, error) {
	name, rest, _ := strings.Cut(text, ":")
	i := slices.IndexFunc(known, func(f FaultInfo) bool { return f.Name == name })
	if i < 0 {
		names := make([]string, len(known))
		for i, k := range known {
			names[i] = k.Name
		}
		return nil, fmt.Errorf("fault %q is not known; there are %s", name, strings.Join(names, ", "))
	}
	f := &Fault{Name: name, Args: maps.Clone(known[i].Keys), times: -1}
	if f.Args == nil {
		f.Args = make(map[string]string)
	}
	for rest != "" {
		key, value, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, fmt.Errorf("fault %q: %q is not key=value", name, rest)
		}
		if key == "message" {
			rest = ""
		} else {
			value, rest, _ = strings.Cut(value, ",")
		}
		if err := f.set(key, value); err != nil {
			return nil, fmt.Errorf("fault %q: %w", name, err)
		}
	}
	if f.times < 0 {
		f.times = 0
		if f.nth == 0 && f.every == 0 && f.chance == 0 {
			f.times = 1
		}
	}
	return f, nil
}

func (f *Fault) set(key, value string) (err error) {
	number := func(to *int) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%s=%s is not a count", key, value)
		}
		*to = n
		return nil
	}
	if _, own := f.Args[key]; own {
		f.Args[key] = value
		return nil
	}
	switch key {
	case "path":
		f.path = value
	case "method":
		f.method = strings.ToUpper(value)
	case "client":
		f.client = value
	case "nth":
		return number(&f.nth)
	case "skip":
		return number(&f.skip)
	case "every":
		return number(&f.every)
	case "times":
		return number(&f.times)
	case "p":
		f.chance, err = strconv.ParseFloat(value, 64)
		if err != nil || f.chance < 0 || f.chance > 1 {
			return fmt.Errorf("p=%s is not a probability", value)
		}
	default:
		keys := append(slices.Sorted(maps.Keys(f.Args)), "path", "method", "client", "nth", "skip", "every", "times", "p")
		return fmt.Errorf("key %q is not known; there are %s", key, strings.Join(keys, ", "))
	}
	return nil
}

// Int returns one of the fault's own keys as a number.
func (f *Fault) Int(key string) (int64, error) {
	n, err := strconv.ParseInt(f.Args[key], 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("fault %q: %s=%s is not a count", f.Name, key, f.Args[key])
	}
	return n, nil
}

// Duration returns one of the fault's own keys as a duration: "90s", "3h".
func (f *Fault) Duration(key string) (time.Duration, error) {
	d, err := time.ParseDuration(f.Args[key])
	if err != nil || d < 0 {
		return 0, fmt.Errorf("fault %q: %s=%s is not a duration such as 90s", f.Name, key, f.Args[key])
	}
	return d, nil
}

// Faults are the rules of an instance. The zero value has none.
type Faults struct {
	Seed uint64

	mu    sync.Mutex
	rules []*Fault
	fired map[string]int
}

// Add adds a rule. Rules are tried in the order they were added.
func (s *Faults) Add(f *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, f)
}

// Clear removes all rules.
func (s *Faults) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Fired returns how often each fault has happened.
func (s *Faults) Fired() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.fired)
}

// All returns the faults among names that happen on this request, and counts them. A rule
// whose request it is not stays untouched, so that "nth" means the same whatever else is asked.
func (s *Faults) All(r *http.Request, client string, names ...string) []*Fault {
	return s.match(r, client, math.MaxInt, names)
}

// First returns the first fault among names that happens on this request, or nil. The others
// have seen the request but have not happened.
func (s *Faults) First(r *http.Request, client string, names ...string) *Fault {
	if hit := s.match(r, client, 1, names); len(hit) > 0 {
		return hit[0]
	}
	return nil
}

func (s *Faults) match(r *http.Request, client string, most int, names []string) []*Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit []*Fault
	for i, f := range s.rules {
		if !slices.Contains(names, f.Name) || !f.selects(r, client) {
			continue
		}
		f.seen++
		n := f.seen - f.skip
		switch {
		case n <= 0, f.times > 0 && f.fired >= f.times, len(hit) == most:
			continue
		case f.nth > 0 && n != f.nth, f.every > 0 && n%f.every != 0:
			continue
		case f.chance > 0 && float64(Hash(s.Seed, 0x6661756c74, uint64(i), uint64(n))>>11)/(1<<53) >= f.chance:
			continue
		}
		f.fired++
		if s.fired == nil {
			s.fired = make(map[string]int)
		}
		s.fired[f.Name]++
		hit = append(hit, f)
	}
	return hit
}

func (f *Fault) selects(r *http.Request, client string) bool {
	if f.method != "" && f.method != r.Method || f.client != "" && f.client != client {
		return false
	}
	return f.path == "" || matchPath(f.path, r.URL.Path)
}

// matchPath reports whether pattern is part of path or, if it holds a *, matches all of it.
func matchPath(pattern, path string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return strings.Contains(path, pattern)
	}
	path, ok := strings.CutPrefix(path, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(path, p)
		if !ok {
			return false
		}
		path = after
	}
	return strings.HasSuffix(path, parts[len(parts)-1])
}
