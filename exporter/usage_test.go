package exporter

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
)

// switchesOf adds up what the kernel says of the living threads.
func switchesOf(t *testing.T) (voluntary, involuntary uint64) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(line, ":")
			n, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			switch key {
			case "voluntary_ctxt_switches":
				voluntary += n
			case "nonvoluntary_ctxt_switches":
				involuntary += n
			}
		}
	}
	return voluntary, involuntary
}

func TestUsage(t *testing.T) {
	p := newProcess()
	v, i := switchesOf(t)
	u := p.usage()
	// The living threads are a part of what getrusage counts.
	if u.voluntary < v || u.involuntary < i {
		t.Errorf("%d and %d context switches; the living threads have %d and %d", u.voluntary, u.involuntary, v, i)
	}
	if u.cpu <= 0 || u.cpu > time.Hour {
		t.Errorf("CPU time is %v", u.cpu)
	}
	if r := p.resident(); r < 1<<20 || r > 1<<32 {
		t.Errorf("%d bytes are resident", r)
	}
	if age := alarm.Now().Sub(p.started); age < 0 || age > time.Hour {
		t.Errorf("the process is %v old", age)
	}
	// It ends only if the CPU time grows.
	for burn := p.usage(); burn.cpu <= u.cpu; burn = p.usage() {
	}
}

func TestStartOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stat")
	for _, tt := range []struct {
		stat string
		want time.Duration
	}{
		{"42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 12345 20 21", 123450 * time.Millisecond},
		{"42 (a) S 1 2", 0},
		{"42 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x 20", 0},
		{"", 0},
	} {
		if err := os.WriteFile(file, []byte(tt.stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := startOf(file); time.Duration(got) != tt.want {
			t.Errorf("%q: %v, want %v", tt.stat, time.Duration(got), tt.want)
		}
	}
	if got := startOf("/nowhere"); got != 0 {
		t.Errorf("no file: %v", got)
	}
	if n := readRaw([]byte("/nowhere\x00"), make([]byte, 1)); n != 0 {
		t.Errorf("no file: %d bytes", n)
	}
}

// The process is measured for the first page after a wake, and that holds for
// all its formats: a counter that one shows never goes back on another.
func TestUsageOfAPage(t *testing.T) {
	e := newExporter(exampleSnapshot(), newClock())
	n := 0
	e.renderer.usage = func() usage { n++; return usage{cpu: time.Duration(n) * time.Second} }
	seen := func(accept string) []string {
		return series(get(e, "/metrics", "Accept", accept).Body.String(), "process_cpu_seconds_total")
	}
	const openMetrics = "application/openmetrics-text;version=1.0.0"
	e.Publish(exampleSnapshot())
	for _, accept := range []string{openMetrics, "text/plain", openMetrics} {
		if got := seen(accept); len(got) != 1 || !strings.HasPrefix(got[0], "process_cpu_seconds_total 1") {
			t.Errorf("%s: %q", accept, got)
		}
	}
	e.Publish(exampleSnapshot())
	e.Publish(exampleSnapshot())
	if got := seen("text/plain"); len(got) != 1 || got[0] != "process_cpu_seconds_total 2" {
		t.Errorf("after two wakes: %q", got)
	}
}

// Without /proc, as in a bare chroot, the figures are left out.
func TestPageWithoutProc(t *testing.T) {
	e := newExporter(exampleSnapshot(), newClock())
	e.renderer.usage = func() usage { return usage{} }
	e.change(func(f *facts) { f.started = 0 })
	text := scrape(e)
	for _, name := range []string{"process_resident_memory_bytes", "process_start_time_seconds"} {
		if got := series(text, name); got != nil {
			t.Errorf("%q", got)
		}
	}
	if got := series(text, "process_cpu_seconds_total"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
