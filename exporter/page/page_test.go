package page

import (
	"errors"
	"flag"
	"fmt"
	"html"
	"html/template"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/dormouse/sensors"
)

var update = flag.Bool("update", false, "write the golden files")

// stopped is a clock that a test sets.
type stopped struct {
	now   sensors.Instant
	wall  time.Time // at now
	blind bool      // the wall clock can't be true
}

func (c *stopped) Now() sensors.Instant { return c.now }

func (c *stopped) Wall(at sensors.Instant) (time.Time, bool) {
	return c.wall.Add(at.Sub(c.now)), !c.blind && !at.IsZero()
}

const boot = sensors.Instant(100 * time.Hour)

func newClock() *stopped {
	return &stopped{now: boot.Add(30 * time.Second), wall: time.Date(2026, 11, 20, 12, 0, 30, 0, time.Local)}
}

// example has one of each state of a sensor.
func example(name func(string) string) *sensors.Snapshot {
	voltage := sensors.Voltage.With("channel")
	noAnswer := fmt.Errorf("%w; the chip can also be set to addr=0x77", fmt.Errorf("read register 0xd0: %w",
		sensors.Errorf(sensors.NoAnswer, "no answer at 0x76 on I2C bus 1: check the wiring (supply, ground) and the address: %w", syscall.EREMOTEIO)))
	failed := &sensors.RunError{Err: sensors.Errorf(sensors.Command, "/bin/cp exited with status 1"), Words: name("cp: /mnt: No space left on device")}
	return &sensors.Snapshot{
		At: boot, NextWake: boot.Add(5 * time.Minute), Expires: boot.Add(310 * time.Second),
		Results: []sensors.Result{{
			Name: name("greenhouse"), Driver: "sht4x", Wiring: "I2C bus 1, address 0x44",
			Readings: []sensors.Reading{{Quantity: sensors.Temperature, Value: 25.08}, {Quantity: sensors.Humidity, Value: 0.5}},
			Tried:    true, Up: true, LastRead: boot, LastSuccess: boot, NextRead: boot.Add(5 * time.Minute), Expires: boot.Add(310 * time.Second), Took: 9 * time.Millisecond,
		}, {
			Name: name("beds"), Driver: "ads1115", Wiring: "I2C bus 1, address 0x48",
			Readings: []sensors.Reading{{Quantity: voltage, Value: 1.25, Labels: []string{name("roses")}}},
			Failures: []sensors.Failure{{Labels: []string{name("a2")}, Err: sensors.Errorf(sensors.OutOfRange, "the input is beyond ±4.096V: give it a wider gain")}},
			Tried:    true, Up: true, LastRead: boot, LastSuccess: boot, NextRead: boot.Add(10 * time.Minute), Took: 40 * time.Millisecond,
		}, {
			Name: name("attic"), Driver: "bme280", Wiring: "I2C bus 1, address 0x76",
			Tried: true, Err: noAnswer, Reason: sensors.NoAnswer, LastRead: boot, LastSuccess: boot.Add(-2 * time.Hour), NextRead: boot.Add(5 * time.Minute), Took: 3 * time.Second,
		}, {
			Name: name("backup"), Driver: "task", Wiring: "/usr/local/bin/backup", NextRead: boot.Add(16 * time.Hour),
		}, {
			Name: name("copy"), Driver: "task", Wiring: "/bin/cp", Readings: []sensors.Reading{{Quantity: sensors.ExitStatus, Value: 1}},
			Tried: true, Err: failed, Reason: sensors.Command, LastRead: boot, NextRead: boot.Add(time.Hour), Took: time.Second,
			FailedRun: &sensors.Run{Began: boot, Took: time.Second, Status: 1, Output: "copied 3\n", Err: failed},
		}},
		Wires: []sensors.Wire{{Kind: "rail", Name: name("probes"), Where: "GPIO17 (pin 11)"}, {Kind: "line", Name: name("rain"), Where: "GPIO22 (pin 15)", Active: true}},
		Stats: sensors.Stats{Wakes: map[string]uint64{sensors.WakeStart: 1, sensors.WakeTimer: 12}, Awake: 400 * time.Millisecond},
	}
}

func same(s string) string { return s }

// newPage is a page with a Snapshot, started an hour before.
func newPage(clock *stopped, s *sensors.Snapshot) *Page {
	p := New(Options{Version: "1.2.3", Clock: clock, Telemetry: "/metrics", CanRead: true,
		Header: func(link func(string) string) template.HTML {
			return template.HTML(`<svg class="pinout"><a href="` + html.EscapeString(link("greenhouse")) + `"><text>greenhouse</text></a></svg>`)
		}})
	p.started = boot.Add(-time.Hour)
	if s != nil {
		p.Publish(s)
	}
	return p
}

// text is the page's document without what differs from machine to machine.
func text(t *testing.T, p *Page) string {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	got := w.Body.String()
	if host, err := os.Hostname(); err == nil {
		got = strings.ReplaceAll(got, "Dormouse on "+host, "Dormouse on shed")
	}
	return regexp.MustCompile(`<dt>Processor time</dt><dd>[^<]+`).ReplaceAllString(got, "<dt>Processor time</dt><dd>1s")
}

func TestGolden(t *testing.T) {
	clock := newClock()
	full := newPage(clock, example(same))
	// Half a day of readings before.
	for i := range 24 {
		s := example(same)
		r := &s.Results[0]
		r.LastRead = boot.Add(-time.Duration(24-i) * slotTime)
		r.LastSuccess = r.LastRead
		r.Readings[0].Value = 20 + float64(i%5)
		full.History.Add(s)
	}
	full.Publish(example(same))
	for name, p := range map[string]*Page{"none.html": newPage(clock, nil), "full.html": full, "empty.html": newPage(clock, &sensors.Snapshot{At: boot})} {
		path, got := filepath.Join("testdata", name), text(t, p)
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
}

// A failure is for a person first, and the sensors that fail come first.
func TestFailuresComeFirst(t *testing.T) {
	p := newPage(newClock(), example(same))
	m := p.model()
	var order []string
	for _, s := range m.Sensors {
		order = append(order, s.Name)
	}
	if diff := cmp.Diff([]string{"attic", "copy", "beds", "greenhouse", "backup"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	want := failure{What: "No answer at 0x76 on I2C bus 1", Do: "Check the wiring (supply, ground) and the address; the chip can also be set to addr=0x77",
		Technical: "read register 0xd0: no answer at 0x76 on I2C bus 1: check the wiring (supply, ground) and the address: remote I/O error; the chip can also be set to addr=0x77"}
	if diff := cmp.Diff([]failure{want}, m.Sensors[0].Failures); diff != "" {
		t.Errorf("why attic is down (-want +got):\n%s", diff)
	}
	want = failure{What: "/bin/cp exited with status 1", Printed: "cp: /mnt: No space left on device", Do: "`sudo dormouse status copy` shows all that the run printed"}
	if diff := cmp.Diff([]failure{want}, m.Sensors[1].Failures); diff != "" {
		t.Errorf("why copy failed (-want +got):\n%s", diff)
	}
	if got := m.Sensors[0].Success; got != "10:00:00, 2h0m30s ago" {
		t.Errorf("last success %q", got)
	}
}

// An error that no driver made, and one without advice, are shown whole; what is
// left out besides is in the technical part.
func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want failure
	}{
		{errors.New("disk full"), failure{What: "Disk full"}},
		{sensors.Errorf(sensors.Timeout, "not read within 10s: %w", errors.New("deadline")), failure{What: "Not read within 10s", Technical: "not read within 10s: deadline"}},
		{sensors.Errorf(sensors.Busy, "the console (Interface Options, Serial: none) is on"), failure{What: "The console (Interface Options, Serial: none) is on"}},
		// What it is about is kept, though it stands before the error's own text.
		{fmt.Errorf("/bin/date %w", sensors.Errorf(sensors.Command, "printed nothing: print a number")), failure{What: "/bin/date printed nothing", Do: "Print a number"}},
		{fmt.Errorf("measure: register 0x02: %w", sensors.Errorf(sensors.Identity, "it reads 0x4b00: check the address")),
			failure{What: "Register 0x02: it reads 0x4b00", Do: "Check the address", Technical: "measure: register 0x02: it reads 0x4b00: check the address"}},
		// What a program printed isn't advice.
		{&sensors.RunError{Err: sensors.Errorf(sensors.Command, "/bin/cp exited with status 1"), Words: "cp: /x: No such file"},
			failure{What: "/bin/cp exited with status 1", Printed: "cp: /x: No such file"}},
		{fmt.Errorf("not read within 1s: %w", &sensors.RunError{Err: sensors.Errorf(sensors.Timeout, "/bin/cp was ended: raise timeout: %w", errors.New("deadline")), Words: "a: b"}),
			failure{What: "/bin/cp was ended", Do: "Raise timeout", Printed: "a: b", Technical: "not read within 1s: /bin/cp was ended: raise timeout: deadline"}},
	} {
		if diff := cmp.Diff(tt.want, explain(tt.err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.err, diff)
		}
	}
}

// The page comes back when the next read has ended, which may take as long as
// the longest did; where the daemon is late, soon.
func TestRefresh(t *testing.T) {
	for _, tt := range []struct {
		name  string
		later time.Duration
		next  time.Duration // 0: none is planned
		want  string
	}{
		{"4m30s until the wake, 3 s of reading, 2 s more", 0, 5 * time.Minute, "275"},
		{"overdue", 10 * time.Minute, 5 * time.Minute, "5"},
		{"nothing planned", 0, 0, ""},
	} {
		clock := newClock()
		s := example(same)
		s.NextWake = 0
		if tt.next > 0 {
			s.NextWake = boot.Add(tt.next)
		}
		p := newPage(clock, s)
		clock.now, clock.wall = clock.now.Add(tt.later), clock.wall.Add(tt.later)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := w.Header().Get("Refresh"); got != tt.want {
			t.Errorf("%s: Refresh %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Without a true clock there is no time of day.
func TestTimesWithoutAClock(t *testing.T) {
	clock := newClock()
	clock.blind = true
	got := text(t, newPage(clock, example(same)))
	if !strings.Contains(got, "read 30s ago") || strings.Contains(got, "12:00:") {
		t.Errorf("times without a clock:\n%s", got)
	}
}

// A daemon that is late shows no readings as if they were true.
func TestLateDaemon(t *testing.T) {
	clock := newClock()
	p := newPage(clock, example(same))
	clock.now, clock.wall = clock.now.Add(10*time.Minute), clock.wall.Add(10*time.Minute)
	got := text(t, p)
	if strings.Contains(got, "25.08") || !strings.Contains(got, "overdue for 5m30s") {
		t.Errorf("a late daemon:\n%s", got)
	}
}

// Whatever a sensor, a channel or a supply is called, it is text: the page has
// the same elements as with harmless names.
func TestHostileNames(t *testing.T) {
	const hostile = `<script>"'&amp;`
	clock := newClock()
	nasty := text(t, newPage(clock, example(func(s string) string { return s + hostile })))
	if strings.Contains(nasty, "<script") {
		t.Errorf("a name is an element:\n%s", nasty)
	}
	tag := regexp.MustCompile(`<[a-z/][^>]*>`)
	id := regexp.MustCompile(` (id|href)="[^"]*"`)
	elements := func(s string) string { return id.ReplaceAllString(strings.Join(tag.FindAllString(s, -1), "\n"), "") }
	if diff := cmp.Diff(elements(text(t, newPage(clock, example(same)))), elements(nasty)); diff != "" {
		t.Errorf("hostile names make other elements (-want +got):\n%s", diff)
	}
}

// 60 sensors of three readings each with full curves stay below 100 kB, and
// nothing on the page comes from elsewhere.
func TestSizeOfAPage(t *testing.T) {
	clock := newClock()
	clock.now = boot
	clock.wall = time.Date(2026, 11, 20, 12, 0, 0, 0, time.Local)
	p := newPage(clock, nil)
	for i := range 48 {
		s := &sensors.Snapshot{At: boot, NextWake: boot.Add(5 * time.Minute)}
		for n := range 60 {
			v := float64((i*7919+n*104729)%1000) / 10
			at := boot.Add(-time.Duration(47-i) * slotTime)
			s.Results = append(s.Results, sensors.Result{
				Name: fmt.Sprintf("greenhouse-%d", n), Driver: "bme280", Wiring: "I2C bus 1, address 0x76, power probes", Tried: true, Up: true,
				LastRead: at, LastSuccess: at, NextRead: at.Add(slotTime), Took: time.Second,
				Readings: []sensors.Reading{{Quantity: sensors.Temperature, Value: v}, {Quantity: sensors.Humidity, Value: v / 100}, {Quantity: sensors.Pressure, Value: 9e4 + 100*v}},
			})
		}
		p.Publish(s)
	}
	got := text(t, p)
	if n := strings.Count(got, "<svg class=\"curve\""); n != 180 {
		t.Errorf("%d curves, want 180", n)
	}
	if len(got) >= 100_000 {
		t.Errorf("%d bytes, want less than 100,000", len(got))
	}
	if m := regexp.MustCompile(`(?:href|src|action|url\()="?[a-z]+:`).FindString(strings.ReplaceAll(got, `href="data:`, "")); m != "" {
		t.Errorf("the page leads elsewhere: %s", m)
	}
}
