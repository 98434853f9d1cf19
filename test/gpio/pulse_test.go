//go:build system

package gpio

import (
	"fmt"
	"math"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
)

// A hundred thousand pulses come in bursts over several polls and a reload. What
// is counted is what the kernel itself counted in /proc/interrupts, and nobody
// was woken for it.
func TestAHundredThousandPulses(t *testing.T) {
	const line, bursts, each = 22, 10, 10_000
	b := newBench(t)
	yaml := "sensors: [{name: meter, driver: pulse, pin: GPIO22, quantity: volume, per-pulse: 1l, every: %s}]"
	d := b.start(t, fmt.Sprintf(yaml, "1h"))
	d.Read()
	since := d.Value(`sensor_counted_since_timestamp_seconds{sensor="meter"}`)
	d.Asleep()
	earlier := b.interrupts(t, "dormouse meter") // of others who held the line
	total, disturbed := 0, 0
	for burst := range bursts {
		woken := d.WakeUps(func() {
			b.pulses(t, line, each, 0)
		})
		total += each
		if woken > 0 {
			disturbed++
			t.Logf("in burst %d the daemon was woken %d times", burst, woken)
		}
		switch burst {
		case 3, 7:
			d.Read()
			if got := d.Value(`sensor_pulses_total{sensor="meter"}`); got != float64(total) {
				t.Errorf("after burst %d %v pulses are counted, want %d", burst, got, total)
			}
			d.Asleep()
		case 5:
			b.reload(t, d, fmt.Sprintf(yaml, "2h"))
			d.Asleep()
		}
	}
	// The runtime may return memory seconds after a read, or after the reload; what
	// pulses wake is woken in each burst.
	if disturbed > bursts/2 {
		t.Errorf("the daemon was woken in %d of %d bursts", disturbed, bursts)
	}
	// Each pulse is an interrupt: rising edges alone are asked for.
	if kernel := b.interrupts(t, "dormouse meter") - earlier; kernel != total {
		t.Errorf("the kernel has counted %d interrupts of %d pulses", kernel, total)
	}
	d.Read()
	if got := d.Value(`sensor_pulses_total{sensor="meter"}`); got != float64(total) {
		t.Errorf("%v pulses are counted, want %d", got, total)
	}
	if got, want := d.Value(`sensor_volume_cubic_meters_total{sensor="meter"}`), float64(total)/1000; got < want-1e-9 || got > want+1e-9 {
		t.Errorf("%v m³, want %v", got, want)
	}
	// Each page converts the moment to the wall clock, to whole milliseconds.
	if now := d.Value(`sensor_counted_since_timestamp_seconds{sensor="meter"}`); math.Abs(now-since) > 0.1 {
		t.Errorf("it counts since %v, but the line was held since %v", now, since)
	}
	if rate := d.Value(`sensor_flow_cubic_meters_per_second{sensor="meter"}`); rate <= 0 {
		t.Errorf("the flow is %v", rate)
	}
}

// A contact that bounces: the kernel sees each bounce, and counts one change.
func TestBouncesAreOnePulse(t *testing.T) {
	const line, n, bounces, debounce = 23, 20, 25, 50 * time.Millisecond
	b := newBench(t)
	d := b.start(t, "sensors: [{name: contact, driver: pulse, pin: GPIO23, debounce: 50ms}, {name: door, driver: switch, pin: GPIO24, debounce: 50ms}]")
	d.Read()
	d.Asleep()
	earlier := b.interrupts(t, "dormouse contact")
	// The bounces take a millisecond. In a machine that stands still meanwhile some
	// of them are long, and count: there and back, by the kernel's ticks of 4 ms.
	var long float64
	woken := d.WakeUps(func() {
		for range n {
			for _, up := range []bool{true, false} {
				for _, l := range []int{line, line + 1} {
					pulsed, err := b.header.Pulses(t.Context(), l, bounces, 0)
					kit.Must(t, err)
					long += 2 * float64(pulsed.Took/(debounce/2))
					kit.Must(t, b.header.SetPull(t.Context(), l, up))
				}
				b.Sleep(t, 200*time.Millisecond)
			}
		}
	})
	if woken >= n { // a contact that wakes does so each time; the runtime may have returned memory
		t.Errorf("the daemon was woken %d times", woken)
	}
	if kernel, least := b.interrupts(t, "dormouse contact")-earlier, n*bounces; kernel < least {
		t.Errorf("the kernel saw %d edges, want at least %d: nothing bounced", kernel, least)
	}
	d.Read()
	if got := d.Value(`sensor_pulses_total{sensor="contact"}`); got < n || got > n+long {
		t.Errorf("%v pulses are counted, want %d and %v at most for long bounces", got, n, long)
	}
	if got := d.Value(`sensor_transitions_total{sensor="door"}`); got < 2*n || got > 2*n+long {
		t.Errorf("%v transitions are counted, want %d and %v at most for long bounces", got, 2*n, long)
	}
}

// The shortest gap is the kernel's, and absent where a pulse was dropped.
func TestShortestGap(t *testing.T) {
	const line = 25
	b := newBench(t)
	d := b.start(t, "sensors: [{name: wind, driver: pulse, pin: GPIO25, quantity: speed, per-pulse: 0.5m, gap: yes}]")
	d.Read()
	gaps := func() map[string]float64 {
		t.Helper()
		values := map[string]float64{}
		for _, r := range d.Read()["wind"].Readings {
			values[r.Quantity] = *r.Value
		}
		return values
	}
	// However late the machine is, the shortest of four gaps isn't longer than a
	// quarter of the whole.
	before, err := b.Clocks(t.Context())
	kit.Must(t, err)
	after, err := b.header.Pulses(t.Context(), line, 5, 100*time.Millisecond)
	kit.Must(t, err)
	got, longest := gaps(), (after.Monotonic-before.Monotonic).Seconds()/4
	if gap := got["shortest_gap"]; gap < 0.05 || gap > longest || got["gust"] != 0.5/gap {
		t.Errorf("pulses 100 ms apart: %v, want at most %v", got, longest)
	}
	b.pulses(t, line, 2000, 0)
	if _, ok := gaps()["shortest_gap"]; ok {
		t.Error("a gap is told though pulses were dropped")
	}
	// The gap that follows the last of them counts, too.
	b.Sleep(t, 100*time.Millisecond)
	b.pulses(t, line, 3, 100*time.Millisecond)
	if gap, ok := gaps()["shortest_gap"]; !ok || gap < 0.05 {
		t.Errorf("after that the gap is %v (there: %t)", gap, ok)
	}
}
