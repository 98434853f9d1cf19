//go:build system

package gpio

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
)

// Lines that are held, absent, misspelt or pulled out: each message says what
// to do, the daemon goes on, and the sensor returns by itself.
func TestLinesThatAreNotToBeHad(t *testing.T) {
	b := newBench(t)
	kit.Must(t, b.header.Hold(t.Context(), 5, "gpioset"))
	d := b.start(t, `rails: [{name: pump, line: PUMP_EN}]
sensors:
  - {name: held, driver: pulse, pin: GPIO5}
  - {name: float, driver: switch, pin: FLOAT, debounce: 0s, wake: float}
  - {name: tank, driver: command, argv: [/bin/echo, 1], power: pump}
  - {name: misspelt, driver: switch, pin: FLAOT}
  - {name: absent, driver: switch, pin: "1-0020:3"}
  - {name: offset, driver: switch, pin: "expander:4"}
  - {name: nearly, driver: switch, pin: "expandre:3"}
  - {name: schematic, driver: switch, pin: GPIO_GCLK, transitions: no}
  - {name: door, driver: switch, pin: BOARD13}
`)
	sensors := d.Read()
	isDown(t, sensors["held"], `line GPIO5 (pin 29) is held by "gpioset"`, "stop that, or wire another line")
	isDown(t, sensors["misspelt"], "no line has the name FLAOT (did you mean FLOAT?)", "chips here: ")
	isDown(t, sensors["absent"], "there is no chip 1-0020")
	isDown(t, sensors["offset"], "there is no line expander:4", "has 4 lines, 0 to 3")
	isDown(t, sensors["nearly"], "there is no chip expandre (did you mean expander?)")
	for _, name := range []string{"float", "tank", "schematic", "door"} {
		if s := sensors[name]; !*s.Up {
			t.Errorf("%s is down: %s", name, s.Error)
		}
	}

	kit.Must(t, b.header.Drop(t.Context(), 5))
	kit.Must(t, b.expander.Remove(t.Context()))
	sensors = d.Read()
	if s := sensors["held"]; !*s.Up {
		t.Errorf("a line that was given back isn't taken: %s", s.Error)
	}
	if s := sensors["door"]; !*s.Up {
		t.Errorf("a line of another chip went down with it: %s", s.Error)
	}
	isDown(t, sensors["float"])
	isDown(t, sensors["tank"], "rail pump", "no line has the name PUMP_EN")

	kit.Must(t, b.expander.Return(t.Context()))
	sensors = d.Read()
	for _, name := range []string{"float", "tank"} {
		if s := sensors[name]; !*s.Up {
			t.Errorf("%s didn't return with its chip: %s", name, s.Error)
		}
	}
	// The switch that returned wakes the daemon again.
	woken := d.Value(`dormouse_wakeups_total{cause="edge"}`)
	kit.Must(t, b.expander.SetPull(t.Context(), 0, true))
	kit.Eventually(t, func() error {
		if n := d.Value(`dormouse_wakeups_total{cause="edge"}`); n != woken+1 {
			return fmt.Errorf("%v wakes by an edge, want %v", n, woken+1)
		}
		return nil
	})
	kit.Must(t, b.expander.SetPull(t.Context(), 0, false))
}

func TestADoorWakesTheRoom(t *testing.T) {
	b := newBench(t)
	d := b.start(t, `sensors:
  - {name: door, driver: switch, pin: GPIO27, wake: [room]}
  - {name: room, driver: command, argv: [/bin/echo, 21]}
  - {name: other, driver: command, argv: [/bin/echo, 7]}
`)
	d.Read()
	reads := func(name string) float64 { return d.Value(`dormouse_sensor_reads_total{sensor="` + name + `"}`) }
	door, room, other := reads("door"), reads("room"), reads("other")
	d.Asleep()
	kit.Must(t, b.header.SetPull(t.Context(), 27, true))
	kit.Eventually(t, func() error {
		if reads("room") != room+1 || reads("door") != door+1 {
			return fmt.Errorf("door was read %v times, room %v times", reads("door")-door, reads("room")-room)
		}
		return nil
	})
	if got := d.Value(`sensor_active{sensor="door"}`); got != 1 {
		t.Errorf("the page says that the door is at %v", got)
	}
	if reads("other") != other {
		t.Error("a sensor that isn't named was read, too")
	}
	kit.Must(t, b.header.SetPull(t.Context(), 27, false))
}

// An edge storm on a waking switch: what is due is read, the page answers, and
// the wakes are bounded. It lasts until what is due each second was read some
// times, however long that takes.
func TestEdgeStorm(t *testing.T) {
	const line, pulses, enough = 26, 500, 6
	b := newBench(t)
	d := b.start(t, `sensors:
  - {name: cable, driver: switch, pin: GPIO26, debounce: 0s, wake: [room]}
  - {name: room, driver: command, argv: [/bin/echo, 21]}
  - {name: clock, driver: command, argv: [/bin/echo, 7], every: 1s}
`)
	d.Read()
	reads := func() float64 { return d.Value(`dormouse_sensor_reads_total{sensor="clock"}`) }
	wakes := func() float64 { return d.Value(`dormouse_wakeups_total{cause="edge"}`) }
	polled, woken := reads(), wakes()
	from, err := b.Clocks(t.Context())
	kit.Must(t, err)
	storm, stop := make(chan error, 1), make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	edges := 0.0 // to be read when the storm has ended
	go func() {
		for {
			select {
			case <-stop:
				storm <- nil
				return
			default:
			}
			if _, err := b.header.Pulses(t.Context(), line, pulses, 0); err != nil {
				storm <- err
				return
			}
			edges += 2 * pulses
		}
	}()
	const timeout = 10 * time.Second // Prometheus'
	scrapes, late, slowest := 0, 0, time.Duration(0)
	kit.Eventually(t, func() error {
		time.Sleep(100 * time.Millisecond) // scrapes cost the guest edges
		began := time.Now()
		n := reads() - polled
		took := time.Since(began)
		slowest = max(slowest, took)
		if took > timeout {
			late++
		}
		if scrapes++; n < enough {
			return fmt.Errorf("what is due each second was read %v times", n)
		}
		return nil
	})
	end()
	kit.Must(t, <-storm)
	polled, woken = reads()-polled, wakes()-woken
	to, err := b.Clocks(t.Context())
	kit.Must(t, err)
	took := (to.Monotonic - from.Monotonic).Seconds()
	t.Logf("%.0f edges a second for %.1f s: %v polls, %v wakes, %d scrapes, the slowest %s", edges/took, took, polled, woken, scrapes, slowest)
	// Edges wake it once a second, by the guest's clock, whatever their number: an
	// idle host makes some thousand of them a second.
	if woken < 1 || woken > took+2 || woken > edges/10 {
		t.Errorf("%v wakes by %v edges in %.1f s", woken, edges, took)
	}
	if late > 1 { // one where the machine stood still
		t.Errorf("%d of %d scrapes took more than %s, the slowest %s", late, scrapes, timeout, slowest)
	}
	// The last edge of all is read, though nobody was woken for most.
	kit.Eventually(t, func() error {
		if got := d.Value(`sensor_transitions_total{sensor="cable"}`); got != edges {
			return fmt.Errorf("%v transitions, want %v", got, edges)
		}
		return nil
	})
}

var goroutines = regexp.MustCompile(`goroutines=(\d+)`)

// Two dozen lines at once, a quarter of which may wake the daemon: what they
// cost the process doesn't grow with what happens on them.
func TestTwoDozenLines(t *testing.T) {
	b := newBench(t)
	yaml := "sensors:\n"
	for line := 4; line < 28; line++ {
		switch line % 4 {
		case 0:
			yaml += fmt.Sprintf("  - {name: s%d, driver: switch, pin: %d, debounce: 0s, wake: s%d, wake-limit: 100ms}\n", line, line, line)
		case 1:
			yaml += fmt.Sprintf("  - {name: s%d, driver: switch, pin: %d, debounce: 0s}\n", line, line)
		default:
			yaml += fmt.Sprintf("  - {name: s%d, driver: pulse, pin: %d}\n", line, line)
		}
		if line == 14 || line == 15 { // usually the serial port's, and nothing says that they aren't here
			yaml = strings.TrimSuffix(yaml, "}\n") + ", force: yes}\n"
		}
	}
	d := b.start(t, yaml)
	cost := func() (fds, threads, gos int) {
		t.Helper()
		info, err := b.Inspect(t.Context(), d.PID)
		kit.Must(t, err)
		before := strings.Count(d.Log(), "goroutines=")
		kit.Must(t, b.Kill(t.Context(), d.PID, syscall.SIGUSR2))
		var found [][]string
		kit.Eventually(t, func() error {
			if found = goroutines.FindAllStringSubmatch(d.Log(), -1); len(found) == before {
				return errors.New("the state isn't in the log")
			}
			return nil
		})
		gos, err = strconv.Atoi(found[len(found)-1][1])
		kit.Must(t, err)
		return len(info.Files), info.Threads, gos
	}
	burst := func(n int) {
		t.Helper()
		for line := 4; line < 28; line++ {
			b.pulses(t, line, n, 0)
		}
	}
	d.Read() // the lines are taken by now
	burst(10)
	d.Read()
	d.Asleep()
	fds, threads, gos := cost()
	t.Logf("%d descriptors, %d threads, %d goroutines", fds, threads, gos)
	const rounds, each = 12, 40
	for range rounds {
		burst(each)
		d.Read()
	}
	d.Asleep()
	// Go's runtime makes a thread where a system call takes long, once: what grows
	// grows with each round.
	if f, th, g := cost(); f != fds || th >= threads+rounds || g != gos {
		t.Errorf("%d descriptors, %d threads, %d goroutines have become %d, %d, %d", fds, threads, gos, f, th, g)
	}
	for name, s := range d.Read() {
		want := float64(10 + rounds*each)
		line, err := strconv.Atoi(strings.TrimPrefix(name, "s"))
		kit.Must(t, err)
		series := fmt.Sprintf("sensor_pulses_total{sensor=%q}", name)
		if line%4 < 2 {
			want, series = 2*want, fmt.Sprintf("sensor_transitions_total{sensor=%q}", name)
		}
		if got := d.Value(series); !*s.Up || got != want {
			t.Errorf("%s is %v, want %v (up %t: %s)", series, got, want, *s.Up, s.Error)
		}
	}
}
