//go:build system

package system

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// wiring is the same in both grammars. The switch is read and released; only the
// counter keeps its line.
func (b *bench) wiringFlags() []string {
	return []string{
		fmt.Sprintf("--sensor=greenhouse=bme280,bus=%d,addr=0x76,label.room=greenhouse", b.bus.Number),
		fmt.Sprintf("--sensor=cellar=tmp102,model=lm75,bus=%d,addr=0x48", b.bus.Number),
		"--sensor=frost=w1,id=28-0316a2793aff",
		"--sensor=door=switch,pin=GPIO27,transitions=no",
		"--sensor=rain=pulse,pin=GPIO22,quantity=precipitation,per-pulse=0.2794mm",
	}
}

func (b *bench) wiringYAML() string {
	return fmt.Sprintf(`sensors:
  - {name: greenhouse, driver: bme280, bus: %d, addr: 0x76, labels: {room: greenhouse}}
  - {name: cellar, driver: tmp102, model: lm75, bus: %[1]d, addr: 0x48}
  - {name: frost, driver: w1, id: 28-0316a2793aff}
  - {name: door, driver: switch, pin: GPIO27, transitions: no}
  - {name: rain, driver: pulse, pin: GPIO22, quantity: precipitation, per-pulse: 0.2794mm}
`, b.bus.Number)
}

// inBothGrammars runs a test with the wiring in flags and in YAML.
func inBothGrammars(t *testing.T, test func(t *testing.T, b *bench, wiring []string)) {
	b := newBench(t)
	t.Run("flags", func(t *testing.T) { test(t, b, b.wiringFlags()) })
	t.Run("YAML", func(t *testing.T) { test(t, b, []string{b.Config(t, b.wiringYAML())}) })
}

func TestStartDetachesAndReadsRealWires(t *testing.T) {
	inBothGrammars(t, func(t *testing.T, b *bench, wiring []string) {
		d := b.Daemon(t, wiring...)
		info, err := b.Inspect(t.Context(), d.PID)
		kit.Must(t, err)
		if info.Parent != 1 || info.Cwd != "/" || info.Files[0] != "/dev/null" || info.Files[1] != "/dev/null" || info.Files[2] != d.LogFile {
			t.Errorf("the daemon isn't detached: %+v", info)
		}
		if pid, err := b.ReadFile(t.Context(), d.PIDFile); err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(d.PID) {
			t.Errorf("the pidfile holds %q, %v; want %d", pid, err, d.PID)
		}

		kit.Must(t, b.header.SetPull(t.Context(), doorLine, true))
		d.Read()
		page := d.Page()
		checkPage(t, page, map[string]float64{
			`sensor_temperature_celsius{room="greenhouse",sensor="greenhouse"}`: 25.08,
			`sensor_temperature_celsius{sensor="cellar"}`:                       -25,
			`sensor_temperature_celsius{sensor="frost"}`:                        -10.125,
			`sensor_active{sensor="door"}`:                                      1,
			`sensor_pulses_total{sensor="rain"}`:                                0,
		})
		if pressure := page.Want(t, `sensor_pressure_pascals{room="greenhouse",sensor="greenhouse"}`); math.Trunc(pressure) != 100653 {
			t.Errorf("the pressure is %v, want 100653 Pa", pressure)
		}
		for _, name := range []string{"greenhouse", "cellar", "frost", "door", "rain"} {
			checkPage(t, page, map[string]float64{`dormouse_sensor_up{sensor="` + name + `"}`: 1})
		}

		kit.Must(t, b.header.SetPull(t.Context(), doorLine, false))
		d.Read()
		checkPage(t, d.Page(), map[string]float64{`sensor_active{sensor="door"}`: 0})
		if t.Failed() {
			t.Logf("the page:\n%s", page)
		}
	})
}

// The kernel's own drivers are second implementations by others, on the same
// bytes.
func TestTheKernelsDriversAgree(t *testing.T) {
	b := newBench(t)
	d := b.Daemon(t, b.wiringFlags()...)
	for _, c := range []struct {
		sensor, driver string
		address        uint16
		attributes     map[string]string // and what they must begin with
	}{
		{"greenhouse", "bmp280", bmp280Address, map[string]string{"in_temp_input": "25080", "in_pressure_input": "100.653"}},
		{"cellar", "lm75", lm75Address, map[string]string{"temp1_input": "-25000"}},
	} {
		t.Run(c.driver, func(t *testing.T) {
			before := d.Read()[c.sensor]
			if !*before.Up {
				t.Fatalf("before: %+v", before)
			}
			dir, err := b.bus.Bind(t.Context(), c.driver, c.address)
			kit.Must(t, err)
			unbind := later(t, func(ctx context.Context) error { return b.bus.Unbind(ctx, c.address) })
			for name, want := range c.attributes {
				if got, err := b.Attribute(t.Context(), dir, name); err != nil || !strings.HasPrefix(got, want) {
					t.Errorf("the kernel's %s says %s %q, %v; want %s", c.driver, name, got, err, want)
				}
			}

			// Two drivers of one chip disturb each other: ours stands back.
			during := d.Read()[c.sensor]
			if *during.Up || during.Reason != "busy" || len(during.Readings) != 0 ||
				!strings.Contains(during.Error, "is driven by the kernel's "+c.driver+": ") ||
				!strings.Contains(during.Error, fmt.Sprintf("echo %d-%04x > /sys/bus/i2c/drivers/%s/unbind", b.bus.Number, c.address, c.driver)) {
				t.Errorf("while the kernel drives the chip: up %t, %s: %s", *during.Up, during.Reason, during.Error)
			}
			unbind()
			if after := d.Read()[c.sensor]; !*after.Up {
				t.Errorf("after the kernel released it: %s", after.Error)
			}
		})
	}
}

// By its inode an attribute of sysfs is told from that of another device which
// has the same name since: the driver thermal goes by it.
func TestAttributesMadeAnewHaveOtherInodes(t *testing.T) {
	b := newBench(t)
	seen := map[string]bool{}
	for range 5 {
		dir, err := b.bus.Bind(t.Context(), "lm75", lm75Address)
		kit.Must(t, err)
		exit := kit.Exec(t, b.Machine.Machine, "stat", "-c", "%i", dir+"/name")
		kit.Must(t, b.bus.Unbind(t.Context(), lm75Address))
		inode := strings.TrimSpace(string(exit.Stdout))
		if exit.Status != 0 || inode == "" || seen[inode] {
			t.Fatalf("stat ended with %d: inode %q, before: %v", exit.Status, inode, seen)
		}
		seen[inode] = true
	}
}

// What pulses wake is woken in each window; the runtime may return memory in one.
func TestPulsesAreCountedExactlyAndWakeNobody(t *testing.T) {
	const pulses, window, windows = 500, 2 * time.Second, 3
	inBothGrammars(t, func(t *testing.T, b *bench, wiring []string) {
		d := b.Daemon(t, wiring...)
		d.Read()
		count := d.Value(`sensor_pulses_total{sensor="rain"}`)
		d.Asleep()
		for left := windows; ; left-- {
			idle := d.WakeUps(func() { b.Sleep(t, window) })
			pulsing, recorded := b.pulsing(t, d, pulses, window)
			count += pulses
			t.Logf("wake-ups: %d without pulses; %d, %d by the scheduler's record, with %d pulses", idle, pulsing, recorded, pulses)
			if max(pulsing, recorded) <= idle {
				break
			}
			if left == 1 {
				t.Fatalf("in each of %d windows of %s pulses woke the daemon", windows, window)
			}
		}
		d.Read()
		checkPage(t, d.Page(), map[string]float64{
			`sensor_pulses_total{sensor="rain"}`:               count,
			`sensor_precipitation_meters_total{sensor="rain"}`: count * 0.2794e-3,
		})
	})
}

// pulsing is how often a daemon is woken while pulses come on the rain's line, as
// the kernel counts it and as its scheduler records it.
func (b *bench) pulsing(t *testing.T, d *kit.Daemon, pulses int, window time.Duration) (counted, recorded int64) {
	t.Helper()
	kit.Must(t, b.TraceStart(t.Context(), "sched/sched_wakeup"))
	counted = d.WakeUps(func() {
		clocks, err := b.Clocks(t.Context())
		kit.Must(t, err)
		last, err := b.header.Pulses(t.Context(), rainLine, pulses, window/time.Duration(pulses))
		kit.Must(t, err)
		if took := last.Monotonic - clocks.Monotonic; took < window {
			t.Errorf("the pulses took %s, less than the window without them", took)
		}
	})
	trace, err := b.TraceStop(t.Context())
	kit.Must(t, err)
	if !bytes.Contains(trace, []byte("sched_wakeup: comm=")) || bytes.Contains(trace, []byte("LOST")) {
		t.Errorf("the scheduler's record isn't whole: %d bytes", len(trace))
	}
	return counted, int64(bytes.Count(trace, []byte("sched_wakeup: comm=dormouse ")))
}

func TestTheSleepingDaemonHoldsOnlyTheCountersLine(t *testing.T) {
	inBothGrammars(t, func(t *testing.T, b *bench, wiring []string) {
		for _, c := range []struct {
			name  string
			more  []string
			lines int
		}{
			{"a counter and a switch that is only read", nil, 1},
			{"a switch whose changes are counted, too", []string{"--sensor=motion=switch,pin=GPIO23"}, 2},
		} {
			t.Run(c.name, func(t *testing.T) {
				d := b.Daemon(t, append(slices.Clone(wiring), c.more...)...)
				for name, s := range d.Read() {
					if !*s.Up {
						t.Errorf("%s: %s", name, s.Error)
					}
				}
				info, err := b.Inspect(t.Context(), d.PID)
				kit.Must(t, err)
				lines := 0
				for fd, file := range info.Files {
					switch {
					case strings.HasPrefix(file, "/dev/i2c-"), strings.HasPrefix(file, "/dev/gpiochip"), strings.HasPrefix(file, "/sys/"):
						t.Errorf("the sleeping daemon holds %s as %d", file, fd)
					case strings.HasPrefix(file, "anon_inode:") && strings.Contains(file, "gpio"):
						lines++
					}
				}
				if lines != c.lines {
					t.Errorf("the sleeping daemon holds %d lines, want %d: %v", lines, c.lines, slices.Sorted(maps.Values(info.Files)))
				}
			})
		}
	})
}

// TestARailRisesBeforeTheWarmUpAndFallsAfterTheRead looks into the kernel's own
// record of the line, and at the times of the messages on the bus.
func TestARailRisesBeforeTheWarmUpAndFallsAfterTheRead(t *testing.T) {
	const warmup = 50 * time.Millisecond
	for _, c := range []struct {
		name string
		line int
		on   bool // the level that is on
		addr uint16
		args func(bus int) []string
	}{
		{"a line that feeds the chip", railLine, true, railedAddress, func(bus int) []string {
			return []string{fmt.Sprintf("--sensor=probe=bme280,bus=%d,addr=0x77,power=GPIO17,warmup=50ms", bus)}
		}},
		{"a transistor that a low level switches on", lowRail, false, bmp280Address, func(bus int) []string {
			return []string{"--rail=supply=GPIO18,active=low,settle=50ms", fmt.Sprintf("--sensor=probe=bme280,bus=%d,addr=0x76,power=supply", bus)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			ctx := t.Context()
			// What is traced is a wake of the daemon that isn't its first.
			d := b.Daemon(t, c.args(b.bus.Number)...)
			d.Read()
			_, err := b.bus.Transfers(ctx)
			kit.Must(t, err)
			trace, err := b.TraceGPIO(ctx)
			kit.Must(t, err)
			probe := d.Read()["probe"]
			events, err := trace.Stop(ctx)
			kit.Must(t, err)
			transfers, err := b.bus.Transfers(ctx)
			kit.Must(t, err)
			if !*probe.Up {
				t.Errorf("the probe is down: %s", probe.Error)
			}
			own := b.header.Line(events, c.line)
			t.Logf("the kernel's record: %+v", own)
			up, down := switching(t, own, c.on)
			transfers = slices.DeleteFunc(transfers, func(x rig.Transfer) bool { return x.Address != c.addr })
			if len(transfers) < 4 {
				t.Fatalf("only %d messages to the chip", len(transfers))
			}
			first, last := transfers[0].At, transfers[len(transfers)-1].At
			t.Logf("up, %s, first message, %s, last message, %s, down", first-up, last-first, down-last)
			if first-up < warmup {
				t.Errorf("the chip was asked %s after its supply rose, sooner than the warm-up of %s", first-up, warmup)
			}
			if down < last {
				t.Errorf("the supply fell %s before the last message", last-down)
			}
			info, err := b.Inspect(ctx, d.PID)
			kit.Must(t, err)
			for _, file := range info.Files {
				if strings.Contains(file, "gpio") {
					t.Errorf("the line is still held: %s", file)
				}
			}
		})
	}
}

// switching checks the record of a line that was switched on and off once: it
// became an output already on, so that no wrong level was ever driven, and was
// driven off before it was released. It returns the times of both.
func switching(t *testing.T, events []rig.GPIOEvent, on bool) (up, down time.Duration) {
	t.Helper()
	var levels []bool
	output := false
	for _, e := range events {
		switch {
		case e.Err != 0:
			t.Errorf("the kernel failed: %+v", e)
		case e.Direction:
			if e.Out && len(levels) == 0 {
				t.Errorf("the line was an output before it had a level: %+v", events)
			}
			if !e.Out && len(levels) == 1 {
				t.Errorf("the line was released while it was on: %+v", events)
			}
			output = output || e.Out
		case e.Out:
			if len(levels) == 0 {
				up = e.At
			} else {
				down = e.At
			}
			levels = append(levels, e.High)
		}
	}
	if !slices.Equal(levels, []bool{on, !on}) || !output {
		t.Fatalf("the line was driven to %v (an output: %t), want %t and then %t once", levels, output, on, !on)
	}
	return up, down
}
