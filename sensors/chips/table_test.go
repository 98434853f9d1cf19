package chips

import (
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// A playedRead is one sensor that is built and reads twice, cold and then
// warm, with exactly these transactions.
type playedRead struct {
	driver   string
	texts    map[string]string
	channels []string
	addr     uint16
	probe    []io // of New
	sense    []io // of each Sense
	want     map[string]float64
	within   float64
	waits    []time.Duration // of one Sense
}

func (p playedRead) run(t *testing.T) {
	t.Helper()
	d := sensortest.Driver(t, p.driver)
	e := sensortest.New(t, d, p.texts, p.channels...)
	bus := playback(p.addr, p.probe, p.sense, p.sense)
	e.Bus = bus
	s, err := d.New(t.Context(), e)
	if err != nil {
		t.Fatalf("%s: New: %v", p.driver, err)
	}
	for _, when := range []string{"cold", "warm"} {
		e.Waits = nil
		got, failures, err := sensortest.Sense(t.Context(), t, d, s)
		if err != nil || len(failures) > 0 || len(got) != len(p.want) {
			t.Fatalf("%s, %s: %d readings, failures %v, error %v", p.driver, when, len(got), failures, err)
		}
		for _, r := range got {
			name := r.Quantity.Name
			for _, l := range r.Labels {
				name += " " + l
			}
			want, ok := p.want[name]
			if !ok {
				t.Errorf("%s, %s: it gives %s", p.driver, when, name)
			}
			near(t, p.driver+" "+when+" "+name, r.Value, want, p.within)
		}
		if p.waits != nil && !slices.Equal(e.Waits, p.waits) {
			t.Errorf("%s, %s: it waits %v, want %v", p.driver, when, e.Waits, p.waits)
		}
	}
	played(t, bus)
}

// A playedError is a read that must fail.
type playedError struct {
	driver string
	texts  map[string]string
	addr   uint16
	ops    []io
	reason sensors.Reason
	says   string
}

func (p playedError) run(t *testing.T) {
	t.Helper()
	d := sensortest.Driver(t, p.driver)
	e := sensortest.New(t, d, p.texts)
	bus := playback(p.addr, p.ops)
	e.Bus = bus
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, p.reason, p.says)
	played(t, bus)
}

// twice is an answer that is read, and read again.
func twice(o io) []io { return []io{o, o} }

// seq is several lists of transactions one after the other.
func seq(lists ...[]io) []io { return slices.Concat(lists...) }
