package sensortest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// A Case is what the fault test must know of a driver.
type Case struct {
	Options  map[string]string // the least that configures it
	Channels []string
	// World makes everything well: the reading that it gives is what every
	// fault is held against. It is called anew for each fault.
	World func(e *Env)
	// Checked says that every answer on the I2C bus carries a checksum: then
	// no flipped bit may change a reading.
	Checked bool
	// Faults are the driver's own, besides those of its wiring.
	Faults []Fault
}

// A Fault breaks a world that was well.
type Fault struct {
	Name  string
	Break func(e *Env)

	stuck bool // a driver that is Unverifiable may take it for a value
	wild  bool // it may change a value: only panics and endless loops count
	// after, if set, looks at the world after the read.
	after func(err error) error
}

// Faults puts a driver through the faults of its wiring: all that the world
// of the case has, be it an I2C bus, lines or files, and the end of its
// context at every point. A fault must give an error or the very readings
// that the healthy world gives; never another value, a panic or a read without
// end. Readings may be missing where a failure says so.
func Faults(t testing.TB, d *sensors.Driver, c Case) {
	t.Helper()
	healthy := newRun(t, d, c)
	want, failures, err := healthy.read()
	if err != nil || len(failures) > 0 || len(want) == 0 {
		t.Fatalf("%s: the healthy world gives %d readings, failures %v, error %v", d.Name, len(want), failures, err)
	}
	faults := append(contextFaults(healthy), c.Faults...)
	if healthy.bus != nil {
		faults = append(faults, busFaults(healthy, c)...)
	}
	faults = append(faults, fileFaults(healthy)...)
	faults = append(faults, lineFaults(healthy)...)
	for _, f := range faults {
		f.hold(t, d, c, want)
	}
}

// hold runs one fault and judges what came of it.
func (f Fault) hold(t testing.TB, d *sensors.Driver, c Case, want []sensors.Reading) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: %s: panic: %v\n%s", d.Name, f.Name, p, debug.Stack())
		}
	}()
	r := newRun(t, d, c)
	r.fault = f.Name
	f.Break(r.env)
	got, failures, err := r.read()
	if f.after != nil {
		if err := f.after(err); err != nil {
			t.Errorf("%s: %s: %v", d.Name, f.Name, err)
		}
	}
	if err != nil || f.wild || f.stuck && d.Unverifiable != "" {
		return
	}
	for _, g := range got {
		if !slices.ContainsFunc(want, func(w sensors.Reading) bool { return same(g, w) }) {
			t.Errorf("%s: %s: gives %s%v = %v, which the healthy world doesn't", d.Name, f.Name, g.Quantity.Name, g.Labels, g.Value)
		}
	}
	if len(got) < len(want) && len(failures) == 0 {
		t.Errorf("%s: %s: %d of %d readings are missing and nothing says why", d.Name, f.Name, len(want)-len(got), len(want))
	}
}

func same(a, b sensors.Reading) bool {
	return a.Quantity.MetricName() == b.Quantity.MetricName() && slices.Equal(a.Labels, b.Labels) && a.Value == b.Value
}

// A run is one read of a fresh sensor in a fresh world.
type run struct {
	t      testing.TB
	driver *sensors.Driver
	env    *Env
	bus    *faultBus // nil: the world has none
	fault  string
	ctx    context.Context
}

func newRun(t testing.TB, d *sensors.Driver, c Case) *run {
	t.Helper()
	e := New(t, d, c.Options, c.Channels...)
	c.World(e)
	r := &run{t: t, driver: d, env: e}
	if e.Bus != nil {
		r.bus = &faultBus{t: t, bus: e.Bus}
		e.Bus = r.bus
	}
	r.ctx, e.cancel = context.WithCancel(context.Background())
	t.Cleanup(e.cancel)
	return r
}

func (r *run) read() ([]sensors.Reading, []sensors.Failure, error) {
	r.t.Helper()
	readings, failures, err := ReadContext(r.ctx, r.t, r.driver, r.env)
	if err != nil && strings.TrimSpace(err.Error()) == "" {
		r.t.Errorf("%s: %s: the error says nothing", r.driver.Name, r.fault)
	}
	return readings, failures, err
}

// Cancel ends the context of the read: for the faults of a Case.
func (e *Env) Cancel() { e.cancel() }

// contextFaults end the context before and in every wait of a healthy read.
func contextFaults(healthy *run) []Fault {
	faults := []Fault{mustCancel("context ended before", func(e *Env) { e.Cancel() })}
	for i := range healthy.env.Waits {
		faults = append(faults, mustCancel(fmt.Sprintf("context ended in wait %d", i), func(e *Env) {
			e.OnWait = func(n int) {
				if n == i {
					e.Cancel()
				}
			}
		}))
	}
	return faults
}

func mustCancel(name string, end func(e *Env)) Fault {
	var bus *faultBus
	return Fault{Name: name, Break: func(e *Env) {
		if bus, _ = e.Bus.(*faultBus); bus != nil {
			e.cancel = bus.watch(e.cancel)
		}
		end(e)
	}, after: func(err error) error {
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("the error is %v, not that of the context", err)
		}
		return bus.atMostOneMore()
	}}
}

// mostTransactions bounds one build and read of any driver.
const mostTransactions = 1000

// A faultBus does to each transaction what the fault wants.
type faultBus struct {
	t     testing.TB
	bus   i2c.Bus
	count int
	// alter is called with each transaction's number; r holds the healthy
	// answer where do was called.
	alter func(n int, do func() error, r []byte) error

	cancelled bool
	after     int // transactions since
}

func (b *faultBus) String() string                    { return b.bus.String() }
func (b *faultBus) SetSpeed(f physic.Frequency) error { return b.bus.SetSpeed(f) }

func (b *faultBus) Tx(addr uint16, w, r []byte) error {
	n := b.count
	b.count++
	if b.cancelled {
		b.after++
	}
	if b.count > mostTransactions {
		b.t.Fatalf("more than %d transactions: the driver reads for ever", mostTransactions)
	}
	do := func() error { return b.bus.Tx(addr, w, r) }
	if b.alter == nil {
		return do()
	}
	return b.alter(n, do, r)
}

// watch counts the transactions from cancel on.
func (b *faultBus) watch(cancel context.CancelFunc) context.CancelFunc {
	return func() {
		b.cancelled = true
		cancel()
	}
}

func (b *faultBus) atMostOneMore() error {
	if b != nil && b.after > 1 {
		return fmt.Errorf("%d transactions after the context ended: at most one may be", b.after)
	}
	return nil
}

func busFaults(healthy *run, c Case) []Fault {
	fault := func(name string, alter func(n int, do func() error, r []byte) error) Fault {
		return Fault{Name: name, Break: func(e *Env) { e.Bus.(*faultBus).alter = alter }}
	}
	var faults []Fault
	for at := range healthy.bus.count {
		faults = append(faults,
			fault(fmt.Sprintf("transaction %d isn't answered", at), func(n int, do func() error, r []byte) error {
				if n == at {
					return ErrNACK
				}
				return do()
			}),
			fault(fmt.Sprintf("nobody answers from transaction %d on", at), func(n int, do func() error, r []byte) error {
				if n >= at {
					return ErrNACK
				}
				return do()
			}))
		for _, level := range []byte{0x00, 0xff} {
			f := fault(fmt.Sprintf("bus stuck at 0x%02X from transaction %d on", level, at), func(n int, do func() error, r []byte) error {
				if n < at {
					return do()
				}
				return Stuck(level)(nil, r)
			})
			f.stuck = true
			faults = append(faults, f)
		}
		faults = append(faults, cancelAt(at))
	}
	// The read of the next wake, with one bit of one answer flipped.
	for at, size := range answerSizes(healthy.t, healthy.driver, c) {
		for bit := range 8 * size {
			f := fault(fmt.Sprintf("bit %d of byte %d of answer %d flipped", bit%8, bit/8, at), func(n int, do func() error, r []byte) error {
				err := do()
				if n == at && bit/8 < len(r) {
					r[bit/8] ^= 1 << (bit % 8)
				}
				return err
			})
			f.wild = !c.Checked
			faults = append(faults, f)
		}
	}
	return faults
}

// cancelAt ends the context during a transaction.
func cancelAt(at int) Fault {
	var bus *faultBus
	return Fault{
		Name: fmt.Sprintf("context ended in transaction %d", at),
		Break: func(e *Env) {
			bus = e.Bus.(*faultBus)
			e.cancel = bus.watch(e.cancel)
			bus.alter = func(n int, do func() error, r []byte) error {
				if n == at {
					e.Cancel()
				}
				return do()
			}
		},
		after: func(err error) error { return bus.atMostOneMore() },
	}
}

// answerSizes lists how many bytes each transaction of a healthy read reads.
func answerSizes(t testing.TB, d *sensors.Driver, c Case) []int {
	r := newRun(t, d, c)
	var sizes []int
	r.bus.alter = func(n int, do func() error, answer []byte) error {
		sizes = append(sizes, len(answer))
		return do()
	}
	if _, _, err := r.read(); err != nil {
		t.Fatalf("%s: the healthy world fails when it is read again: %v", d.Name, err)
	}
	return sizes
}

// fileFaults break each file that a healthy read reads.
func fileFaults(healthy *run) []Fault {
	paths := slices.Clone(healthy.env.FS.Read)
	slices.Sort(paths)
	var faults []Fault
	for _, p := range slices.Compact(paths) {
		faults = append(faults,
			Fault{Name: p + " is missing", Break: func(e *Env) { e.FS.Remove(p) }},
			Fault{Name: p + " gives EIO", Break: func(e *Env) { e.FS.Break(p, syscall.EIO) }},
			Fault{Name: p + " gives EACCES", Break: func(e *Env) { e.FS.Break(p, syscall.EACCES) }},
			Fault{Name: p + " is empty", Break: func(e *Env) { e.FS.Put(p, "") }},
			Fault{Name: p + " is a bare newline", Break: func(e *Env) { e.FS.Put(p, "\n") }},
			Fault{Name: p + " is garbage", Break: func(e *Env) { e.FS.Put(p, "\x00\xff12z\n") }},
			Fault{Name: p + " is endless", Break: func(e *Env) { e.FS.Put(p, strings.Repeat("9", 1<<16)) }},
			Fault{Name: p + " hangs", Break: func(e *Env) {
				e.FS.Hang = map[string]bool{p: true}
				e.FS.OnRead = func(read string) {
					if read == p {
						e.Cancel()
					}
				}
			}})
	}
	return faults
}

// lineFaults break each line of the world.
func lineFaults(healthy *run) []Fault {
	var faults []Fault
	for option := range healthy.env.Lines {
		faults = append(faults,
			Fault{Name: "line of " + option + " is busy", Break: func(e *Env) { e.Lines[option].OpenErr = syscall.EBUSY }},
			Fault{Name: "line of " + option + " is no line", Break: func(e *Env) { e.Lines[option].OpenErr = syscall.ENOENT }},
			Fault{Name: "line of " + option + " is gone", Break: func(e *Env) { e.Lines[option].Err = syscall.ENODEV }})
	}
	return faults
}
