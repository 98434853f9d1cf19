//go:build system

package system

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/test/kit"
)

// seriesOf are those of one sensor's readings on a page.
func seriesOf(p kit.Page, sensor string) []string {
	var found []string
	for line := range strings.Lines(string(p)) {
		if strings.HasPrefix(line, "sensor_") && strings.Contains(line, `sensor="`+sensor+`"`) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestASensorPulledOutIsGoneAndReturnsByItself(t *testing.T) {
	b := newBench(t)
	d := b.Daemon(t, b.wiringFlags()...)
	others := []string{"cellar", "frost", "door", "rain"}
	check := func(when string, up bool, downLines, backLines int) {
		t.Helper()
		sensors := d.Read()
		page := d.Page()
		for _, name := range others {
			if s := sensors[name]; !*s.Up || len(seriesOf(page, name)) == 0 {
				t.Errorf("%s: %s doesn't go on: %q\n%q", when, name, s.Error, seriesOf(page, name))
			}
		}
		want, n := 0.0, 0
		if up {
			want, n = 1, 2
		}
		checkPage(t, page, map[string]float64{`dormouse_sensor_up{sensor="greenhouse"}`: want})
		if series := seriesOf(page, "greenhouse"); len(series) != n {
			t.Errorf("%s: %d series, want %d: %q", when, len(series), n, series)
		}
		if down, back := logged(d, "sensor is down"), logged(d, "sensor is back"); down != downLines || back != backLines {
			t.Errorf("%s: %d lines say down, %d back; want %d and %d:\n%s", when, down, back, downLines, backLines, d.Log())
		}
		if n := logged(d, "sensor=greenhouse"); n != downLines+backLines {
			t.Errorf("%s: %d lines tell of the sensor, want %d:\n%s", when, n, downLines+backLines, d.Log())
		}
	}
	check("before", true, 0, 0)
	kit.Must(t, b.bus.PullOut(t.Context(), bmp280Address))
	putBack := later(t, func(ctx context.Context) error { return b.bus.PutBack(ctx, bmp280Address) })
	check("pulled out", false, 1, 0)
	check("still out", false, 1, 0)
	if errors := d.Value(`dormouse_sensor_read_errors_total{reason="no_answer",sensor="greenhouse"}`); errors != 2 {
		t.Errorf("%v errors were counted, want 2", errors)
	}
	putBack()
	check("put back", true, 1, 1)
	check("later", true, 1, 1)
}

// A whole adapter may go, as a USB plug does, and come back.
func TestABusPulledOutHarmsItsOwnSensorsOnly(t *testing.T) {
	b := newBench(t)
	d := b.Daemon(t, b.wiringFlags()...)
	d.Read()
	kit.Must(t, b.bus.Remove(t.Context()))
	plugIn := later(t, b.bus.Return)
	up := func() (names []string) {
		t.Helper()
		for name, s := range d.Read() {
			if *s.Up {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	if got := up(); !slices.Equal(got, []string{"door", "frost", "rain"}) {
		t.Errorf("without the bus %v are up", got)
	}
	number := b.bus.Number
	plugIn()
	if b.bus.Number != number {
		t.Fatalf("bus %d returned as %d", number, b.bus.Number)
	}
	if got := up(); len(got) != 5 {
		t.Errorf("with the bus again only %v are up:\n%s", got, d.Log())
	}
}

// broken is a configuration of which only the last sensor can be read, and for
// each other what its message must say and what its reason is.
func (b *bench) broken() (args []string, said map[string][]string, reasons map[string]string) {
	return []string{
			fmt.Sprintf("--sensor=absent=bme280,bus=%d,addr=0x77", b.bus.Number), // its supply is off
			fmt.Sprintf("--sensor=empty=tmp102,bus=%d,addr=0x4b", b.bus.Number),
			fmt.Sprintf("--sensor=stranger=bme280,bus=%d,addr=0x76,power=GPIO%d", b.bus.Number, heldLine),
			"--sensor=nobus=sht4x,bus=9,addr=0x44",
			fmt.Sprintf("--sensor=held=switch,pin=GPIO%d", heldLine+1),
			"--sensor=nochip=pulse,pin=gpiochip7:3",
			"--sensor=noprobe=w1,id=28-00000000beef",
			fmt.Sprintf("--sensor=good=tmp102,bus=%d,addr=0x49", b.bus.Number),
		}, map[string][]string{
			"absent":   {"no answer at 0x77 on I2C bus ", "check the wiring"},
			"empty":    {"no answer at 0x4b on I2C bus ", "check the wiring"},
			"stranger": {"line GPIO5 (pin 29) is held by \"fan-control\"", "stop that, or wire another line"},
			"nobus":    {"I2C bus 9: there is no /dev/i2c-9", "raspi-config", fmt.Sprintf("buses here: %d", b.bus.Number)},
			"held":     {"line GPIO6 (pin 31) is held by \"doorbell\"", "stop that, or wire another line"},
			"nochip":   {"gpiochip7"},
			"noprobe":  {"28-00000000beef"},
		}, map[string]string{
			"absent": "no_answer", "empty": "no_answer", "stranger": "busy", "nobus": "io",
			"held": "busy", "nochip": "io", "noprobe": "no_answer",
		}
}

// hold has other programs hold two lines until the test ends.
func (b *bench) hold(t *testing.T) {
	t.Helper()
	for i, consumer := range []string{"fan-control", "doorbell"} {
		kit.Must(t, b.header.Hold(t.Context(), heldLine+i, consumer))
		later(t, func(ctx context.Context) error { return b.header.Drop(ctx, heldLine+i) })
	}
}

func TestAbsentHeldAndMissingNeverStopTheDaemon(t *testing.T) {
	b := newBench(t)
	b.hold(t)
	args, said, reasons := b.broken()
	d := b.Daemon(t, args...)
	sensors := d.Read()
	page := d.Page()
	for name, words := range said {
		s := sensors[name]
		if *s.Up || s.Reason != reasons[name] {
			t.Errorf("%s is up: %t; reason %q, want %q: %s", name, *s.Up, s.Reason, reasons[name], s.Error)
		}
		for _, w := range words {
			if !strings.Contains(s.Error, w) {
				t.Errorf("%s says %q, which lacks %q", name, s.Error, w)
			}
		}
		if series := seriesOf(page, name); len(series) != 0 {
			t.Errorf("%s has readings: %q", name, series)
		}
		checkPage(t, page, map[string]float64{`dormouse_sensor_up{sensor="` + name + `"}`: 0})
		if n := logged(d, "sensor is down", "sensor="+name+" "); n != 1 {
			t.Errorf("%d lines of the log tell of %s, want 1:\n%s", n, name, d.Log())
		}
	}
	checkPage(t, page, map[string]float64{
		`sensor_temperature_celsius{sensor="good"}`: -10.125,
		`dormouse_sensor_up{sensor="good"}`:         1,
	})
	if len(sensors) != len(said)+1 {
		t.Errorf("%d sensors are known: %v", len(sensors), slices.Sorted(maps.Keys(sensors)))
	}
}

func TestAHeldLineReturnsByItself(t *testing.T) {
	b := newBench(t)
	kit.Must(t, b.header.Hold(t.Context(), heldLine, "fan-control"))
	drop := later(t, func(ctx context.Context) error { return b.header.Drop(ctx, heldLine) })
	d := b.Daemon(t, fmt.Sprintf("--sensor=meter=pulse,pin=GPIO%d", heldLine))
	if meter := d.Read()["meter"]; *meter.Up {
		t.Errorf("a line that another holds is counted: %+v", meter)
	}
	drop()
	if meter := d.Read()["meter"]; !*meter.Up {
		t.Errorf("a line that was given back isn't taken: %s", meter.Error)
	}
	if down, back := logged(d, "sensor is down"), logged(d, "sensor is back"); down != 1 || back != 1 {
		t.Errorf("%d lines say down, %d back, want one each:\n%s", down, back, d.Log())
	}
}

func TestCheckHardwareReportsWhatIsMissing(t *testing.T) {
	b := newBench(t)
	b.hold(t)
	args, said, _ := b.broken()
	stdout, stderr, status := b.Run(t, append([]string{"check", "--hardware"}, args...)...)
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	for name, words := range said {
		report := regexp.MustCompile(`(?m)^` + name + ` is down: .*$`).FindString(stdout)
		if report == "" {
			t.Errorf("nothing is said about %s", name)
		}
		for _, w := range words {
			if !strings.Contains(report, w) {
				t.Errorf("%q lacks %q", report, w)
			}
		}
	}
	if !strings.Contains(stdout, "\ngood answers\n") {
		t.Error("the good one isn't said to answer")
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
	}
	stdout, stderr, status = b.Run(t, append([]string{"check", "--hardware"}, b.wiringFlags()...)...)
	if status != 0 || strings.Contains(stdout, "is down") {
		t.Errorf("with all of it there: exit status %d\n%s%s", status, stdout, stderr)
	}
}
