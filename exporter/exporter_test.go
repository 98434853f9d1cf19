package exporter

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.org/dormouse/sensors"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // what people read is in local time
	goleak.VerifyTestMain(m)
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s\nif that is meant, run the test with -update", name, diff)
	}
}

// stopped is a clock that a test sets.
type stopped struct {
	now   sensors.Instant
	wall  time.Time // at now
	blind bool      // the wall clock can't be true
}

func (c *stopped) Now() sensors.Instant { return c.now }

func (c *stopped) Wall(at sensors.Instant) (time.Time, bool) {
	if at.IsZero() || c.blind {
		return time.Time{}, false
	}
	return c.wall.Add(at.Sub(c.now)), true
}

func (c *stopped) advance(d time.Duration) {
	c.now, c.wall = c.now.Add(d), c.wall.Add(d)
}

const boot = sensors.Instant(1000 * time.Second)

func newClock() *stopped {
	return &stopped{now: boot.Add(30 * time.Second), wall: time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC)}
}

var build = Build{Version: "1.2.3", Revision: "abcdef0", Branch: "main", Tags: "release", GoVersion: "go1.26", GoOS: "linux", GoArch: "arm"}

// exampleSnapshot has one of each kind of result and reading, taken 30 s before the
// clock's moment.
func exampleSnapshot() *sensors.Snapshot {
	channel := sensors.Voltage.With("channel")
	at := boot
	return &sensors.Snapshot{
		At:       at,
		NextWake: at.Add(5 * time.Minute),
		Expires:  at.Add(310 * time.Second),
		Results: []sensors.Result{{
			Name: "greenhouse", Driver: "bme280", Wiring: "I2C bus 1, address 0x76",
			Claims: []sensors.Claim{{Kind: sensors.I2CWire, Option: "addr", Bus: 1, Address: 0x76}, {Kind: sensors.LineWire, Option: "power", Line: sensors.LineRef{BCM: 17}, Output: true}},
			Labels: []sensors.Label{{Name: "room", Value: "greenhouse"}},
			Readings: []sensors.Reading{
				{Quantity: sensors.Temperature, Value: 25.08},
				{Quantity: sensors.Pressure, Value: 100653.27},
				{Quantity: sensors.Humidity, Value: 0.5512},
			},
			Tried: true, Up: true, Reads: 3,
			Errors:   map[sensors.Reason]uint64{sensors.Checksum: 1},
			LastRead: at, LastSuccess: at, NextRead: at.Add(5 * time.Minute), Expires: at.Add(310 * time.Second),
			Took: 11 * time.Millisecond,
		}, {
			Name: "door", Driver: "switch", Wiring: "GPIO27 (pin 13)",
			Claims: []sensors.Claim{{Kind: sensors.LineWire, Option: "pin", Line: sensors.LineRef{BCM: 27}, Held: true}},
			Readings: []sensors.Reading{
				{Quantity: sensors.Active, Value: 0},
				{Quantity: sensors.Transitions, Value: 4},
				{Quantity: sensors.LastChange, At: at.Add(-10*time.Minute - 250*time.Millisecond)},
			},
			Tried: true, Up: true, Reads: 3,
			LastRead: at, LastSuccess: at, NextRead: at.Add(10 * time.Minute), Expires: at.Add(610 * time.Second),
			Took: 40 * time.Microsecond,
		}, {
			Name: "beds", Driver: "ads1115", Wiring: "I2C bus 1, address 0x48",
			Readings: []sensors.Reading{
				{Quantity: sensors.Moisture.With("channel"), Value: 0.4, Labels: []string{"a0"}},
				{Quantity: channel, Value: 3.9812, Labels: []string{"battery"}},
			},
			Failures: []sensors.Failure{{
				Err: sensors.Errorf(sensors.OutOfRange, "voltage of 9.0000 V is outside -6.1440 V to 6.1440 V"), Labels: []string{"a2"}}},
			Channels: []sensors.Channel{{Name: "a0", Up: true}, {Name: "battery", Up: true}, {Name: "a2"}},
			Tried:    true, Up: true, Reads: 3,
			LastRead: at, LastSuccess: at, NextRead: at.Add(5 * time.Minute), Expires: at.Add(310 * time.Second),
			Took: 27 * time.Millisecond,
		}, {
			Name: "attic", Driver: "sht4x", Wiring: "I2C bus 1, address 0x44",
			Tried: true, Reads: 3, Err: errors.New("sensor attic: no answer at 0x44 on I2C bus 1: check the wiring"), Reason: sensors.NoAnswer,
			Errors:   map[sensors.Reason]uint64{sensors.NoAnswer: 2},
			LastRead: at, LastSuccess: at.Add(-5 * time.Minute), NextRead: at.Add(5 * time.Minute), Expires: at.Add(310 * time.Second),
			Took: 3 * time.Millisecond,
		}, {
			Name: "backup", Driver: "command", Wiring: `/usr/local/bin/backup.py "daily"`,
			Skipped:  map[string]uint64{sensors.SkipOverlap: 2, sensors.SkipMissed: 0},
			Claims:   []sensors.Claim{{Kind: sensors.ProgramWire, Option: "argv", Path: "/usr/local/bin/backup.py"}},
			NextRead: at.Add(15 * time.Hour),
		}, {
			Name: "router", Driver: "command", Wiring: "/usr/local/bin/router.sh",
			Readings: []sensors.Reading{
				{Quantity: &sensors.Quantity{Name: "router_rtt_seconds", Metric: "router_rtt_seconds", Kind: sensors.Histogram, Help: "Round trips."},
					Dist: &sensors.Distribution{Count: 7, Sum: 1.25, Buckets: map[float64]uint64{0.1: 3, 0.5: 6}}},
				{Quantity: &sensors.Quantity{Name: "router_dns_seconds", Metric: "router_dns_seconds", Kind: sensors.Summary, Help: "Name look-ups.", Labels: []string{"server"}},
					Dist: &sensors.Distribution{Count: 2, Sum: 0.5, Quantiles: map[float64]float64{0.5: 0.2}}, Labels: []string{"1.1.1.1"}},
				{Quantity: &sensors.Quantity{Name: "router_links", Metric: "router_links", Kind: sensors.Untyped, Help: "Links."}, Value: 2},
				{Quantity: sensors.ExitStatus, Value: 0},
				{Quantity: sensors.ExitDuration, Value: 0.031},
			},
			Tried: true, Up: true, Reads: 1,
			LastRead: at, LastSuccess: at, NextRead: at.Add(time.Hour), Expires: at.Add(time.Hour + 10*time.Second),
			Took: 31 * time.Millisecond,
		}},
		Wires: []sensors.Wire{
			{Kind: "rail", Name: "soil", Where: "GPIO17 (pin 11)", OnTime: 1500 * time.Millisecond},
			{Kind: "line", Name: "door", Where: "GPIO27 (pin 13)"},
		},
		Stats: sensors.Stats{
			Wakes: map[string]uint64{sensors.WakeStart: 1, sensors.WakeTimer: 2},
			Awake: 1234 * time.Millisecond, ClockJumps: 1,
		},
	}
}

// newExporter has published s; what the kernel says of the test's process is
// replaced by figures that stay the same.
func newExporter(s *sensors.Snapshot, clock Clock) *Exporter {
	e := New(Options{Build: build, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	e.Publish(s)
	e.renderer.usage = func() usage {
		return usage{cpu: 1500 * time.Millisecond, voluntary: 36, involuntary: 2, resident: 10 << 20}
	}
	e.change(func(f *facts) {
		f.started = boot.Add(-time.Hour)
		f.reloadedAt = boot.Add(-time.Hour)
	})
	return e
}

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	tests := []struct{ path, accept, file, contentType string }{
		{"/metrics", "", "metrics.txt", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
		{"/metrics", "application/openmetrics-text;version=1.0.0", "openmetrics.txt", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"},
		{"/readings.json", "", "readings.json", "application/json; charset=utf-8"},
	}
	for _, tt := range tests {
		w := get(newExporter(exampleSnapshot(), newClock()), tt.path, "Accept", tt.accept)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", tt.path, w.Code)
		}
		if got := w.Header().Get("Content-Type"); got != tt.contentType {
			t.Errorf("%s: Content-Type is %q, want %q", tt.path, got, tt.contentType)
		}
		golden(t, tt.file, w.Body.String())
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, exampleSnapshot(), newClock()); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.String())
	hostile := exampleSnapshot()
	hostile.Results[3].Err = errors.New("\x1b[2Jgone\u009b31m\nnext")
	b.Reset()
	if err := Table(&b, hostile, newClock()); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u009b") || !strings.Contains(b.String(), " [2Jgone 31m next\n") {
		t.Errorf("what an error holds steers the terminal:\n%q", b.String())
	}
	if text := JSON(hostile, newClock()).Summary(); strings.ContainsAny(text, "\x1b\u009b") || !strings.Contains(text, " is down:  [2Jgone 31m next\n") {
		t.Errorf("what an error holds steers the terminal:\n%q", text)
	}
	if err := Table(failing{}, exampleSnapshot(), newClock()); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a terminal that is gone: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.EPIPE }
