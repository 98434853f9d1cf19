package lines

import (
	"context"
	"fmt"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// fastest is the frequency in hertz up to which edges are believed: an
// interrupt controller holds one edge of a line back, so a second that comes
// while the first waits is lost and nobody knows. It leaves the kernel 100 µs
// for each.
const fastest = 10e3

// mostEdges is the largest buffer that the kernel gives a line: 16 events for
// each of GPIO_V2_LINES_MAX lines (drivers/gpio/gpiolib-cdev.c).
const mostEdges = 1024

func windowOption(help string) sensors.Option {
	return sensors.Option{Name: "window", Type: sensors.DurationOption, Default: "1s", Range: &sensors.Range{Min: 0.01, Max: 300}, Help: help}
}

var frequency = sensors.Frequency.Within(0, fastest)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "frequency",
		Summary:   "frequency of a signal on a GPIO line up to 10 kHz: flow sensor, fan tachometer, anemometer; by the kernel's time stamps",
		Datasheet: "Linux, Documentation/userspace-api/gpio/chardev.rst and include/uapi/linux/gpio.h (version 2): timestamp_ns, line_seqno",
		Reasons:   []sensors.Reason{sensors.NotReady},
		Wiring:    "3.3 V at most. An open collector (fans, flow sensors) between the line and ground: pull=up, or a resistor of some kΩ to 3.3 V",
		Timing:    "the window, 1 s, asleep: the frequency is that between its first and its last edge, or between the last 1024 where there were more. The signal must be there all the time: one edge is an error, and so is a first or last edge more than one period away from the window's ends. None is 0: less than one period in the window",
		Options: []sensors.Option{
			pinOption("the line: GPIO23, BOARD16, CHIP:OFFSET or a line's name"),
			pullOption(),
			activeOption(),
			debounceOption("0s", "how long a level must last to count: 10ms for a reed contact, none for an electronic output. The kernel rounds it up to its ticks of 4 or 10 ms and stamps edges with them"),
			windowOption("how long to listen: three periods of the slowest signal at least. Less than timeout"),
		},
		Measures:     []*sensors.Quantity{frequency},
		Unverifiable: "no signal and a cut wire look the same",
		New: func(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
			config := input(e.Options())
			config.Debounce = e.Options().Duration("debounce")
			config.Edges = sensors.RisingEdge
			return &frequencyMeter{newListener(e, config)}, nil
		},
	})
}

// frequencyMeter looks at one edge of each period, so that it doesn't depend
// on the level that the kernel finds some time after the edge.
type frequencyMeter struct{ listener }

func (m *frequencyMeter) Sense(ctx context.Context, r *sensors.Report) error {
	if _, err := m.listen(ctx); err != nil {
		return err
	}
	n := len(m.edges)
	switch n {
	case 0:
		r.Set(frequency, 0)
		return nil
	case 1:
		return sensors.Errorf(sensors.NotReady, "%s had one edge in %s, which gives no period: make window three periods long, or count with the driver pulse", m.ref(), duration.Format(m.window))
	}
	first, last := m.edges[0], m.edges[n-1]
	took := last.At.Sub(first.At)
	if took <= 0 {
		return sensors.Errorf(sensors.IO, "%d edges of %s within %v: their time stamps can't be right", n, m.ref(), took)
	}
	// The numbers count what was dropped from a full buffer, too.
	f := float64(last.Seq-first.Seq) / took.Seconds()
	if f > fastest {
		return tooFast(m.ref(), f)
	}
	if err := m.throughout(m.edges, longestPeriod(m.edges, 1)); err != nil {
		return err
	}
	r.Set(frequency, f)
	return nil
}

func tooFast(ref sensors.LineRef, f float64) error {
	return sensors.Errorf(sensors.OutOfRange, "%s has %.0f periods a second: above %.0f Hz the kernel may miss edges unseen; divide the signal by a counter chip, or look for noise on an open line", ref, f, fastest)
}

// longestPeriod is the longest time from an edge to the one that is so many
// events later.
func longestPeriod(edges []sensors.Edge, events int) time.Duration {
	var longest time.Duration
	for i := range len(edges) - events {
		from, to := edges[i], edges[i+events]
		lost := time.Duration(to.Seq-from.Seq) / time.Duration(events) // periods, where some edges were dropped
		longest = max(longest, to.At.Sub(from.At)/max(lost, 1))
	}
	return longest
}

// jitter is the part of a period by which the next may be longer.
const jitter = 8

// throughout refuses a signal that began or ended within the window: its first
// and its last edge must lie within one period of the window's ends. Edges that
// a full buffer dropped were before the first one.
func (l *listener) throughout(edges []sensors.Edge, period time.Duration) error {
	most := period + period/jitter
	before, after := edges[0].At.Sub(l.began), l.ended.Sub(edges[len(edges)-1].At)
	if edges[0].Seq > 1 {
		before = 0
	}
	if before <= most && after <= most {
		return nil
	}
	return sensors.Errorf(sensors.NotReady, "%s was still for %v of the window of %s, with a period of %v: the signal began or ended within the window, or is irregular; read it again, or make window longer",
		l.ref(), max(before, after).Round(time.Microsecond), duration.Format(l.window), period.Round(time.Microsecond))
}

// A listener holds a line for a window of time and looks at what the kernel
// recorded.
type listener struct {
	env    sensors.Env
	config sensors.LineConfig
	window time.Duration
	edges  []sensors.Edge // of the last window
	began  sensors.Instant
	ended  sensors.Instant
}

func newListener(e sensors.Env, c sensors.LineConfig) listener {
	c.Buffer = mostEdges
	return listener{env: e, config: c, window: e.Options().Duration("window"), edges: make([]sensors.Edge, 0, mostEdges)}
}

func (l *listener) ref() sensors.LineRef { return l.env.Options().Line("pin") }

// listen fills edges and returns the level at the window's end.
func (l *listener) listen(ctx context.Context) (active bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	line, err := l.env.Line("pin", l.config)
	if err != nil {
		return false, err
	}
	active, err = l.record(ctx, line)
	if closing := line.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return false, fmt.Errorf("listen to %s: %w", l.ref(), err)
	}
	return active, nil
}

func (l *listener) record(ctx context.Context, line sensors.Line) (active bool, err error) {
	l.began = l.env.Now()
	if err := l.env.Sleep(ctx, l.window); err != nil {
		return false, err
	}
	l.ended = l.env.Now()
	if l.edges, err = line.Edges(l.edges[:0]); err != nil {
		return false, err
	}
	// Older kernels have no edges of a chip that is gone, and no error either:
	// its level fails on all.
	return line.Active()
}
