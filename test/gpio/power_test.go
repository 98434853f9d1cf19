//go:build system

package gpio

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// step is one thing that happened to a rail's line.
type step struct {
	line int
	on   bool
	at   time.Duration
}

// steps are the switchings of the header's lines, in the kernel's own order. A
// line that was released while it was on, or was an output before it had its
// level, is an error: somebody would have seen a glitch.
func (b *bench) steps(t *testing.T, events []rig.GPIOEvent, lines ...int) []step {
	t.Helper()
	var all []step
	on, valued := map[int]bool{}, map[int]bool{}
	for _, e := range events {
		line := e.GPIO - b.header.Base
		switch {
		case !slices.Contains(lines, line):
		case e.Direction && e.Out && !valued[line]:
			t.Errorf("line %d became an output before it had a level: %+v", line, e)
		case e.Direction && !e.Out && on[line]:
			t.Errorf("line %d was released while it was on: %+v", line, e)
		case !e.Direction && e.Out:
			if !valued[line] && !e.High {
				t.Errorf("line %d was driven low before it was switched on: %+v", line, e)
			}
			valued[line] = true
			if on[line] != e.High {
				all = append(all, step{line, e.High, e.At})
			}
			on[line] = e.High
		}
	}
	return all
}

// free checks that lines are as they are pulled, down, and held by nobody. A
// program that was about to be run when the daemon was killed may hold a line a
// moment longer than the daemon, and a sensor that is down is tried again after
// some seconds.
func (b *bench) free(t *testing.T, d *kit.Daemon, lines ...int) {
	t.Helper()
	kit.Eventually(t, func() error {
		for _, line := range lines {
			if high, err := b.header.Value(t.Context(), line); err != nil || high {
				return fmt.Errorf("line %d is high: %t, %v", line, high, err)
			}
		}
		info, err := b.Inspect(t.Context(), d.PID)
		if err != nil {
			return nil // it has ended
		}
		for _, file := range info.Files {
			if strings.Contains(file, "gpio") {
				return fmt.Errorf("a line is still held: %s", file)
			}
		}
		return nil
	})
}

// program is a sensor that takes a while: a program on a rail.
func program(name, rail, seconds, timeout string) string {
	return "  - {name: " + name + ", driver: command, argv: [/bin/sh, -c, \"sleep " + seconds + "; echo 1\"], retries: 0, timeout: " + timeout + ", power: " + rail + "}\n"
}

func TestRailsRiseInTheirOrder(t *testing.T) {
	const main, boost, probes = 5, 6, 13
	b := newBench(t)
	d := b.start(t, `rails:
  - {name: probes, line: GPIO13, settle: 20ms, after: boost}
  - {name: boost, line: GPIO6, settle: 100ms, after: main}
  - {name: main, line: GPIO5, settle: 50ms}
sensors:
`+program("moist", "probes", "0.2", "1m")+program("other", "main", "1", "1m"))
	d.Read()
	trace, err := b.TraceGPIO(t.Context())
	kit.Must(t, err)
	for name, s := range d.Read() {
		if !*s.Up {
			t.Errorf("%s: %s", name, s.Error)
		}
	}
	events, err := trace.Stop(t.Context())
	kit.Must(t, err)
	got := b.steps(t, events, main, boost, probes)
	t.Logf("the kernel's record: %+v", got)
	want := []step{{main, true, 0}, {boost, true, 50 * time.Millisecond}, {probes, true, 150 * time.Millisecond},
		{probes, false, 370 * time.Millisecond}, {boost, false, 370 * time.Millisecond}, {main, false, 1050 * time.Millisecond}}
	if len(got) != len(want) {
		t.Fatalf("%d switchings, want %d", len(got), len(want))
	}
	for i, w := range want {
		if got[i].line != w.line || got[i].on != w.on {
			t.Errorf("switching %d is %+v, want line %d on %t", i, got[i], w.line, w.on)
		}
		// Never sooner than the settling times say.
		if since := got[i].at - got[0].at; since < w.at-time.Millisecond {
			t.Errorf("line %d became %t after %s, sooner than %s", w.line, w.on, since, w.at)
		}
	}
	b.free(t, d, main, boost, probes)
}

func TestARailIsCutOffAfterItsTime(t *testing.T) {
	const heater = 5
	b := newBench(t)
	d := b.start(t, "rails: [{name: heater, line: GPIO5, max-on: 700ms}]\nsensors:\n"+
		program("slow", "heater", "600", "1h")+"  - {name: seven, driver: command, argv: [/bin/echo, 7]}\n")
	d.Read() // that of the start
	trace, err := b.TraceGPIO(t.Context())
	kit.Must(t, err)
	sensors := d.Read()
	events, err := trace.Stop(t.Context())
	kit.Must(t, err)
	isDown(t, sensors["slow"], "rail heater was on for 700ms, its max-on, and was switched off")
	if s := sensors["seven"]; !*s.Up {
		t.Errorf("another sensor is down for it: %s", s.Error)
	}
	got := b.steps(t, events, heater)
	if len(got) != 2 || got[1].on {
		t.Fatalf("the line was switched as %+v", got)
	}
	// A machine that stands still is late. How exact it is otherwise is shown by
	// the tests of rails, whose time is virtual; the program would take 600 s.
	if on := got[1].at - got[0].at; on < 700*time.Millisecond || on > 5*time.Minute {
		t.Errorf("it was on for %s", on)
	}
	if log := d.Log(); !strings.Contains(log, "a rail was on for too long") || !strings.Contains(log, "rail=heater") {
		t.Errorf("it isn't logged:\n%s", log)
	}
	b.free(t, d, heater)
	if on := d.Value(`dormouse_rail_on_seconds_total{line="GPIO5 (pin 29)",rail="heater"}`); on < 1.4 {
		t.Errorf("it was on for %v s in two reads", on)
	}
}

// What each end of the daemon, or of a read, leaves on the lines while a rail is
// up. The kernel's gpio-sim makes a line that is released an input, as the mainline
// drivers do.
func TestWhatIsLeftOnTheLines(t *testing.T) {
	const first, second = 5, 6
	yaml := "rails: [{name: first, line: GPIO5}, {name: second, line: GPIO6, after: first}]\nsensors:\n"
	up := func(t *testing.T, b *bench) {
		t.Helper()
		kit.Eventually(t, func() error {
			high, err := b.header.Value(t.Context(), second)
			if err == nil && !high {
				err = errors.New("the rail isn't up")
			}
			return err
		})
	}
	ended := func(t *testing.T, b *bench, d *kit.Daemon) {
		t.Helper()
		kit.Eventually(t, func() error {
			if _, err := b.ReadFile(t.Context(), "/proc/"+strconv.Itoa(d.PID)+"/stat"); err == nil {
				return errors.New("it still runs")
			}
			return nil
		})
	}
	down := []step{{line: second}, {line: first}}

	t.Run("TERM", func(t *testing.T) {
		b := newBench(t)
		trace, err := b.TraceGPIO(t.Context())
		kit.Must(t, err)
		d := b.start(t, yaml+program("slow", "second", "600", "1h"))
		up(t, b)
		kit.Must(t, b.Kill(t.Context(), d.PID, syscall.SIGTERM))
		ended(t, b, d)
		events, err := trace.Stop(t.Context())
		kit.Must(t, err)
		b.wantDown(t, events, down)
		b.free(t, d, first, second)
	})
	t.Run("kill -9", func(t *testing.T) {
		b := newBench(t)
		trace, err := b.TraceGPIO(t.Context())
		kit.Must(t, err)
		d := b.start(t, yaml+program("slow", "second", "600", "1h"))
		up(t, b)
		kit.Must(t, b.Kill(t.Context(), d.PID, syscall.SIGKILL))
		ended(t, b, d)
		events, err := trace.Stop(t.Context())
		kit.Must(t, err)
		for _, e := range events {
			if !e.Direction && e.Out && !e.High {
				t.Errorf("somebody drove a line off: %+v", e)
			}
		}
		// Nobody drives them: each follows its resistor.
		b.free(t, d, first, second)
		// The next daemon takes them, and leaves them off.
		b.Config(t, yaml+program("slow", "second", "0", "1m"))
		d.Launch()
		if s := d.Read()["slow"]; !*s.Up {
			t.Errorf("after the restart: %s", s.Error)
		}
		b.free(t, d, first, second)
	})
	t.Run("abort", func(t *testing.T) { // as in a fault of the runtime
		b := newBench(t)
		d := b.start(t, yaml+program("slow", "second", "600", "1h"))
		up(t, b)
		kit.Must(t, b.Kill(t.Context(), d.PID, syscall.SIGABRT))
		ended(t, b, d)
		b.free(t, d, first, second)
	})
	t.Run("a read that doesn't end", func(t *testing.T) {
		b := newBench(t)
		d := b.start(t, yaml+program("slow", "second", "600", "500ms"))
		d.Read()
		trace, err := b.TraceGPIO(t.Context())
		kit.Must(t, err)
		s := d.Read()["slow"]
		events, err := trace.Stop(t.Context())
		kit.Must(t, err)
		isDown(t, s)
		b.wantDown(t, events, down)
		b.free(t, d, first, second)
	})
	t.Run("a bus that hangs", func(t *testing.T) {
		b := newBench(t)
		bus, err := b.AddI2CBus(t.Context())
		kit.Must(t, err)
		defer func() { kit.Must(t, bus.Remove(t.Context())) }()
		const address = 0x48
		kit.Must(t, bus.AddChip(t.Context(), address, i2c.TMP102(-162)))
		d := b.start(t, yaml+fmt.Sprintf("  - {name: cold, driver: tmp102, bus: %d, addr: 0x48, retries: 0, timeout: 500ms, power: second}\n", bus.Number))
		answers := func() error { // within half a second, unless the machine stands still
			if s := d.Read()["cold"]; !*s.Up {
				return errors.New(s.Error)
			}
			return nil
		}
		kit.Eventually(t, answers)
		trace, err := b.TraceGPIO(t.Context())
		kit.Must(t, err)
		kit.Must(t, bus.SetFault(t.Context(), 0, i2c.Hang))
		s := d.Read()["cold"]
		events, err := trace.Stop(t.Context())
		kit.Must(t, err)
		isDown(t, s)
		b.wantDown(t, events, down)
		b.free(t, d, first, second)
		kit.Must(t, bus.SetFault(t.Context(), 0, i2c.Healthy))
		kit.Eventually(t, answers)
		d.Stop()
	})
	t.Run("reload", func(t *testing.T) {
		b := newBench(t)
		d := b.start(t, yaml+program("slow", "second", "600", "1h"))
		up(t, b)
		b.reload(t, d, "rails: [{name: first, line: GPIO5}]\nsensors:\n"+program("quick", "first", "0", "1m"))
		if s := d.Read()["quick"]; !*s.Up {
			t.Errorf("after the reload: %s", s.Error)
		}
		b.free(t, d, first, second)
	})
}

// wantDown checks which lines were switched off, in their order; more than once
// where the machine stood still until a sensor that is down was tried again.
func (b *bench) wantDown(t *testing.T, events []rig.GPIOEvent, want []step) {
	t.Helper()
	var got []step
	for _, s := range b.steps(t, events, 5, 6) {
		if !s.on {
			got = append(got, step{line: s.line})
		}
	}
	if len(got) == 0 || !slices.Equal(got, slices.Repeat(want, len(got)/len(want))) {
		t.Errorf("switched off were %+v, want %+v", got, want)
	}
}
