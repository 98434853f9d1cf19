package lines

import (
	"context"
	"errors"
	"math"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"github.com/google/go-cmp/cmp"
)

// hxChip is the chip by the book: it converts ten times a second while its
// clock is low, shows it by a low data line, and shifts out what it measures.
type hxChip struct {
	e      *sensortest.Env
	period time.Duration
	values []int // of one frame after the other; the last one stays

	high   bool
	since  sensors.Instant // the clock's level
	ready  sensors.Instant // of the next conversion
	pulse  int             // of the frame under way; 0: none
	value  int             // of that frame
	frames []int           // whole pulses of each frame
}

// connect puts the chip on the lines.
func (c *hxChip) connect(e *sensortest.Env) *hxChip {
	c.e = e
	if c.period == 0 {
		c.period = 100 * time.Millisecond
	}
	e.Lines["clock"].OnConfig = func(l sensors.LineConfig) { c.high, c.since = l.Active, e.Now() }
	e.Lines["clock"].OnSet = c.clock
	e.Lines["data"].Level = c.data
	return c
}

func (c *hxChip) clock(high bool) {
	if high == c.high {
		return
	}
	now := c.e.Now()
	switch {
	case !high && now.Sub(c.since) >= 60*time.Microsecond: // it was off
		c.pulse, c.ready = 0, now.Add(4*c.period)
	case high && (c.pulse > 0 || !now.Before(c.ready)):
		if c.pulse == 0 {
			c.value = c.values[0]
			if len(c.values) > 1 {
				c.values = c.values[1:]
			}
			c.frames = append(c.frames, 0)
		}
		c.pulse++
		if c.pulse >= 25 {
			c.ready = now.Add(c.period)
		}
	case !high && c.pulse > 0:
		c.frames[len(c.frames)-1] = c.pulse
	}
	c.high, c.since = high, now
}

func (c *hxChip) data() bool {
	if c.pulse > 0 && c.pulse < 25 {
		return c.value>>(24-c.pulse)&1 == 1
	}
	if c.pulse >= 25 && !c.e.Now().Before(c.ready) {
		c.pulse = 0
	}
	return c.e.Now().Before(c.ready)
}

func hxWorld(t testing.TB, texts map[string]string, values ...int) (*sensors.Driver, *sensortest.Env, *hxChip) {
	t.Helper()
	all := map[string]string{"factor": "1"}
	for k, v := range texts {
		all[k] = v
	}
	d, e := wired(t, "hx711", all, "data", "clock")
	c := &hxChip{values: values}
	if all["rate"] == "80" {
		c.period = 12500 * time.Microsecond
	}
	return d, e, c.connect(e)
}

func TestHX711(t *testing.T) {
	for _, tc := range []struct {
		name  string
		texts map[string]string
		raw   []int
		want  float64
	}{
		{"zero", nil, []int{0}, 0},
		{"one", nil, []int{1}, 1},
		{"minus one", nil, []int{0xffffff}, -1},
		{"highest", nil, []int{0x7ffffe}, 8388606},
		{"lowest", nil, []int{0x800001}, -8388607},
		{"alternating bits", nil, []int{0x555555}, 5592405},
		{"tare and factor", map[string]string{"tare": "-8000", "factor": "420.5"}, []int{202250 - 8000}, 202250 / 420.5},
		{"the other way round", map[string]string{"factor": "-420"}, []int{0x1000000 - 42000}, 100},
		{"the middle one", nil, []int{7000, 100, 300}, 300},
		{"one outlier", nil, []int{100, 4_000_000, 16_484}, 16_484},
		{"scatter that is allowed", map[string]string{"scatter": "100g", "factor": "-1000"}, []int{1, 100_000, 200_000}, -100},
		{"80 a second", map[string]string{"rate": "80"}, []int{5, 6, 7}, 6},
		{"a single sample", map[string]string{"samples": "1"}, []int{5, 6, 7}, 5},
		{"the supply is lost as a frame begins", map[string]string{"samples": "1"}, []int{0xffffff, 5000}, 5000},
		{"the line is low for a frame", map[string]string{"samples": "1"}, []int{0, 5000}, 5000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e, _ := hxWorld(t, tc.texts, tc.raw...)
			if got := value(t, d, e, taredMass); math.Abs(got-tc.want) > 1e-9*math.Abs(tc.want) {
				t.Errorf("got %v g, want %v", got, tc.want)
			}
			released(t, e)
		})
	}
}

// TestHX711Sequence: pulses by input and gain, the filter's settling, and
// asleep before and after.
func TestHX711Sequence(t *testing.T) {
	us, ms := time.Microsecond, time.Millisecond
	for input, want := range map[string]struct {
		frames []int
		waits  []time.Duration
	}{
		// After the first sample's frame the next conversion takes 100 ms: 80
		// asleep and two polls.
		"A128": {[]int{25, 25, 25}, []time.Duration{100 * us, 500 * ms, 80 * ms, 10 * ms, 10 * ms, 80 * ms, 10 * ms, 10 * ms}},
		"B32":  {[]int{26, 26, 26, 26}, []time.Duration{100 * us, 500 * ms, 500 * ms, 80 * ms, 10 * ms, 10 * ms, 80 * ms, 10 * ms, 10 * ms}},
		"A64":  {[]int{27, 27, 27, 27}, []time.Duration{100 * us, 500 * ms, 500 * ms, 80 * ms, 10 * ms, 10 * ms, 80 * ms, 10 * ms, 10 * ms}},
	} {
		d, e, c := hxWorld(t, map[string]string{"input": input}, 1000)
		value(t, d, e, taredMass)
		if !cmp.Equal(c.frames, want.frames) {
			t.Errorf("%s: frames of %v pulses, want %v", input, c.frames, want.frames)
		}
		if !cmp.Equal(e.Waits, want.waits) {
			t.Errorf("%s: waits %v, want %v", input, e.Waits, want.waits)
		}
		pulses := 0
		for _, n := range want.frames {
			pulses += n
		}
		sets := []bool{true, false} // asleep from the request on, then awake
		for range pulses {
			sets = append(sets, true, false)
		}
		if clock := e.Lines["clock"]; !cmp.Equal(clock.Sets, append(sets, true)) {
			t.Errorf("%s: the clock was driven %d times, the last %v", input, len(clock.Sets), clock.Sets[len(clock.Sets)-1])
		}
	}
}

func TestHX711Fails(t *testing.T) {
	for _, tc := range []struct {
		name   string
		breaks func(e *sensortest.Env, c *hxChip)
		reason sensors.Reason
		want   string
	}{
		{"stays high", func(e *sensortest.Env, _ *hxChip) { e.Lines["data"].Level = func() bool { return true } }, sensors.NoAnswer, "has no value after 200ms (data stays high)"},
		{"shorted", func(e *sensortest.Env, _ *hxChip) { e.Lines["data"].Level = func() bool { return false } }, sensors.Identity, "data is low after a whole frame"},
		{"overload", func(_ *sensortest.Env, c *hxChip) { c.values = []int{0x7fffff} }, sensors.OutOfRange, "8388607"},
		{"underload", func(_ *sensortest.Env, c *hxChip) { c.values = []int{5, 0x800000} }, sensors.OutOfRange, "-8388608): overload, or a wire of the bridge is off"},
		{"scattered", func(_ *sensortest.Env, c *hxChip) { c.values = []int{0x900000, 100, 16_485} }, sensors.OutOfRange, "the samples scatter from -7340032 to 16485, and only 1 of 3 are within 16384 of the median: the load moves"},
		{"preempted", func(e *sensortest.Env, c *hxChip) {
			n := 0
			e.Lines["clock"].OnSet = func(high bool) {
				if n++; n == 40 {
					e.NextWake(51 * time.Microsecond)
				}
				c.clock(high)
			}
		}, sensors.NotReady, "a clock pulse lasted up to 51µs"},
		{"preempted between pulses", func(e *sensortest.Env, c *hxChip) {
			e.Lines["data"].Level = func() bool {
				if c.pulse == 7 {
					e.NextWake(50*time.Millisecond + time.Microsecond)
				}
				return c.data()
			}
		}, sensors.NotReady, "a frame took 50.001ms: the chip may have converted again meanwhile"},
		{"data is held", func(e *sensortest.Env, _ *hxChip) { e.Lines["data"].OpenErr = syscall.EBUSY }, sensors.Busy, "open line GPIO23"},
		{"clock is held", func(e *sensortest.Env, _ *hxChip) { e.Lines["clock"].OpenErr = syscall.EBUSY }, sensors.Busy, "open line GPIO24"},
		{"data is gone", func(e *sensortest.Env, _ *hxChip) { e.Lines["data"].Err = syscall.ENODEV }, sensors.IO, "HX711 on GPIO23 (pin 16) and GPIO24 (pin 18): no such device"},
		{"clock is gone", func(e *sensortest.Env, _ *hxChip) { e.Lines["clock"].Err = syscall.ENODEV }, sensors.IO, "no such device"},
		{"clock goes away in a pulse", func(e *sensortest.Env, c *hxChip) {
			e.Lines["clock"].OnSet = func(high bool) {
				c.clock(high)
				if high && c.pulse == 3 {
					e.Lines["clock"].Err = syscall.ENODEV
				}
			}
		}, sensors.IO, "no such device"},
		{"data goes away in a frame", func(e *sensortest.Env, c *hxChip) {
			e.Lines["clock"].OnSet = func(high bool) {
				c.clock(high)
				if c.pulse == 3 {
					e.Lines["data"].Err = syscall.ENODEV
				}
			}
		}, sensors.IO, "no such device"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e, c := hxWorld(t, nil, 1000)
			tc.breaks(e, c)
			fails(t, d, e, tc.reason, tc.want)
			released(t, e)
			if sets := e.Lines["clock"].Sets; e.Lines["clock"].Err == nil && len(sets) > 0 && !sets[len(sets)-1] {
				t.Error("the chip is left awake")
			}
		})
	}
}

// TestHX711SlowPulse: 50 µs is where belief ends.
func TestHX711SlowPulse(t *testing.T) {
	d, e, c := hxWorld(t, nil, 1000)
	e.Lines["clock"].OnSet = func(high bool) {
		if high {
			e.NextWake(50 * time.Microsecond)
		}
		c.clock(high)
	}
	if got := value(t, d, e, taredMass); got != 1000 {
		t.Errorf("got %v", got)
	}
}

func TestHX711Cancelled(t *testing.T) {
	for at := range 8 {
		d, e, _ := hxWorld(t, nil, 1000)
		ctx, cancel := context.WithCancel(t.Context())
		e.OnWait = func(n int) {
			if n == at {
				cancel()
			}
		}
		if _, _, err := sensortest.ReadContext(ctx, t, d, e); !errors.Is(err, context.Canceled) {
			t.Errorf("wait %d: got %v", at, err)
		}
		if sets := e.Lines["clock"].Sets; !sets[len(sets)-1] {
			t.Errorf("wait %d: the chip is left awake", at)
		}
		released(t, e)
	}
}

func BenchmarkHX711(b *testing.B) {
	d, e, _ := hxWorld(b, nil, 1000)
	sensortest.Bench(b, d, e, func() { e.Lines["clock"].Sets = e.Lines["clock"].Sets[:0] })
}
