// Package measure tells what a process has spent, for benchmarks.
package measure

import (
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Result is what a job took.
type Result struct {
	Seconds float64 `json:"seconds"` // wall clock
	CPU     float64 `json:"cpu"`     // seconds of all threads, user and system
	PeakMB  float64 `json:"peak_mb"` // largest resident set of the process so far, in 10^6 bytes; 0: unknown
	Bytes   int64   `json:"bytes"`   // what was worked on, if the job knows better than the size of its file
}

// A Measurement is under way.
type Measurement struct {
	start time.Time
	cpu   float64
}

// Start begins to measure.
func Start() Measurement {
	return Measurement{time.Now(), cpu()} //nolint:forbidigo // benchmarks measure real time
}

// Print writes the result as a line of JSON. Bytes may be 0.
func (m Measurement) Print(w io.Writer, bytes int64) error {
	took := time.Since(m.start) //nolint:forbidigo // benchmarks measure real time
	return json.NewEncoder(w).Encode(Result{took.Seconds(), cpu() - m.cpu, peak(), bytes})
}

// peak reads the high-water mark from the kernel's page about this process. Unlike
// getrusage's it does not count what the parent had before exec.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err == nil {
				return kb * 1024 / 1e6
			}
		}
	}
	return 0
}
