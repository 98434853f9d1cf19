package sensortest

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/guard"
)

// A Case is what the fault test must know of a driver.
type Case struct {
	Options  map[string]string // the least that configures it
	Channels []string
	// World makes everything well: the reading that it gives is what every
	// fault is held against. It is called for each fault.
	World func(e *Env)
	// Next makes another world for a second read, so that a value of the first
	// is a wrong one there; nil: there is one read.
	Next func(e *Env)
	// Reset starts the chip anew, as a dip of its supply does; nil: that isn't
	// tried.
	Reset func(e *Env)
	// Others are transactions that another program may make with the chip.
	Others []Transaction
	// Undetected is the share of random answers that the chip's checksum lets
	// pass, 1/256 of a CRC-8, where there are enough to be counted: then more of
	// them are tried, and no larger share may be wrong. 0: none may.
	Undetected float64
	// Excused says of kinds of faults why they can give a wrong value here.
	Excused map[Kind]string
	// Faults are the driver's own, besides those of its wiring.
	Faults []Fault
	// Driver is the one that a description made; nil: the one that is tested.
	Driver *sensors.Driver
	// Outcome is told what came of each fault, for the comparison of two drivers:
	// the readings of each read, and the error that ended them. May be nil.
	Outcome func(fault string, readings [][]sensors.Reading, failures [][]sensors.Failure, err error)
}

// A Transaction is what another program does with the chip.
type Transaction struct {
	Write []byte
	Read  int // bytes
}

// A Fault breaks a world that was well.
type Fault struct {
	Name  string
	Break func(e *Env)

	kind Kind
	// after, if set, looks at the world after the read.
	after func(err error) error
}

// A Kind is a class of faults that are counted together.
type Kind string

const (
	ContextEnds Kind = "context ends"
	NoAnswer    Kind = "no answer"
	StuckBus    Kind = "stuck bus"
	OneBit      Kind = "one bit read"
	TwoBits     Kind = "two bits read"
	Shifted     Kind = "shifted by a byte"
	Short       Kind = "short answer"
	Random      Kind = "random answer"
	Guessed     Kind = "random answer with a checksum" // of a case with Undetected
	LostWrite   Kind = "lost write"
	WrittenBit  Kind = "one bit written"
	ChipReset   Kind = "reset"
	Another     Kind = "another program"
	Wire        Kind = "file or line"
	Own         Kind = "its own"
)

// Kinds lists them in the order in which they are shown.
var Kinds = []Kind{ContextEnds, NoAnswer, StuckBus, OneBit, TwoBits, Shifted, Short, Random, Guessed, LostWrite, WrittenBit, ChipReset, Another, Wire, Own}

// ThinVariable is a variable of the environment: where it is n, Faults tries each
// nth of those faults that differ only in which bits are wrong. It is
// for machines on which all take minutes: race detectors and emulators.
const ThinVariable = "DORMOUSE_FAULTS_THIN"

// thinned are the kinds of which each nth is tried, the first among them.
var thinned = []Kind{OneBit, TwoBits, Random, Guessed, WrittenBit}

// Thin is n of ThinVariable; 1: all faults are tried.
func Thin(t testing.TB) int {
	t.Helper()
	text := os.Getenv(ThinVariable)
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q: give a positive number", ThinVariable, text)
	}
	return n
}

// thin leaves each nth of the thinned kinds, and all others.
func thin(faults []Fault, n int) []Fault {
	seen := map[Kind]int{}
	return slices.DeleteFunc(faults, func(f Fault) bool {
		seen[f.kind]++
		return slices.Contains(thinned, f.kind) && (seen[f.kind]-1)%n != 0
	})
}

// A Count is what came of the faults of one kind.
type Count struct{ Tries, Refused, Right, Wrong int }

// Add adds the counts of another case.
func (c *Count) Add(d Count) {
	c.Tries += d.Tries
	c.Refused += d.Refused
	c.Right += d.Right
	c.Wrong += d.Wrong
}

// A Tally counts what came of all faults of a driver.
type Tally map[Kind]Count

// Faults puts a driver through the faults of its wiring: all that the world
// of the case has, be it an I2C bus, lines or files, and the end of its
// context at every point. A fault must give an error or the very readings
// that the healthy world gives; never another value, a panic or a read without
// end. Readings may be missing where a failure says so. After an error the
// sensor is built and read again without the fault, as poll does, and must be
// right.
func Faults(t testing.TB, d *sensors.Driver, c Case) Tally {
	t.Helper()
	if c.Driver != nil {
		d = c.Driver
	}
	h := &harness{t: t, driver: d, c: c, tally: Tally{}, shown: map[Kind]int{}}
	h.healthy()
	faults := slices.Concat(h.contextFaults(), c.Faults, h.fileFaults(), h.lineFaults(), h.wireFaults(), h.busFaults())
	for _, f := range thin(faults, Thin(t)) {
		h.hold(f)
	}
	h.checkUndetected()
	return h.tally
}

// checkUndetected refuses a share of wrong values above that of good checksums
// among random bytes; four standard deviations are luck.
func (h *harness) checkUndetected() {
	h.t.Helper()
	share, count := h.c.Undetected, h.tally[Guessed]
	if n := float64(count.Tries); float64(count.Wrong) > n*share+4*math.Sqrt(n*share) {
		h.t.Errorf("%s: %d of %d random answers give a wrong value, and %.4f of them have a good checksum", h.driver.Name, count.Wrong, count.Tries, share)
	}
}

// A harness puts one driver through the faults of one case.
type harness struct {
	t      testing.TB
	driver *sensors.Driver
	c      Case
	first  *run // in the healthy world
	want   [][]sensors.Reading
	made   []made // by the healthy reads, one after another
	tally  Tally
	shown  map[Kind]int
}

// made is a transaction of the healthy reads: how many bytes it has.
type made struct{ wrote, read int }

// healthy reads the world without a fault.
func (h *harness) healthy() {
	h.t.Helper()
	h.first = h.newRun()
	if bus := h.first.bus; bus != nil {
		bus.alter = func(_ int, w, r []byte, do func(w []byte) error) error {
			h.made = append(h.made, made{len(w), len(r)})
			return do(w)
		}
	}
	if err := h.first.readAll(); err != nil || h.first.partial {
		h.t.Fatalf("%s: the healthy world gives %d reads, a failure: %v, error %v", h.driver.Name, len(h.want), h.first.partial, err)
	}
}

// mostShown is how many wrong values of one kind are told one by one.
const mostShown = 5

// hold runs one fault and checks what came of it.
func (h *harness) hold(f Fault) {
	h.t.Helper()
	if f.kind == "" {
		f.kind = Own
	}
	r := h.newRun()
	r.fault = f.Name
	defer func() {
		if p := recover(); p != nil {
			h.t.Errorf("%s: %s: panic: %v\n%s", h.driver.Name, f.Name, p, debug.Stack())
		}
	}()
	f.Break(r.env)
	err := r.readAll()
	if h.c.Outcome != nil {
		h.c.Outcome(f.Name, r.got, r.failures, err)
	}
	if f.after != nil {
		if err := f.after(err); err != nil {
			h.t.Errorf("%s: %s: %v", h.driver.Name, f.Name, err)
		}
	}
	count := h.tally[f.kind]
	count.Tries++
	switch {
	case r.wrong != "":
		count.Wrong++
		if h.shown[f.kind]++; h.c.Excused[f.kind] == "" && f.kind != Guessed && h.shown[f.kind] <= mostShown {
			h.t.Errorf("%s: %s: %s", h.driver.Name, f.Name, r.wrong)
		}
	case err != nil || r.partial:
		count.Refused++
	default:
		count.Right++
	}
	h.tally[f.kind] = count
}

// A run is a fresh sensor in a fresh world.
type run struct {
	*harness
	env     *Env
	bus     *tamper // of the chip; nil: there is none
	ctx     context.Context
	fault   string
	wrong   string // a value that the healthy world doesn't give
	partial bool   // a part is missing, and a failure says why

	got      [][]sensors.Reading // of each read
	failures [][]sensors.Failure
}

func (h *harness) newRun() *run {
	h.t.Helper()
	e := New(h.t, h.driver, h.c.Options, h.c.Channels...)
	h.c.World(e)
	r := &run{harness: h, env: e}
	if e.Bus != nil {
		bus, addr := e.Bus, uint16(e.options.Address("addr"))
		r.bus = &tamper{t: h.t, raw: func(w, r []byte) error { return bus.Tx(addr, w, r) }}
		e.Bus = new(guard.Buses).Guard(1, &faultBus{r.bus, bus, addr})
	}
	for kind, w := range wireKinds {
		if connected := e.Wires[kind]; connected != nil && w.tamper != nil {
			r.bus = &tamper{t: h.t}
			e.Wires[kind] = w.tamper(connected, r.bus)
		}
	}
	e.faults = r.bus
	r.ctx, e.cancel = context.WithCancel(context.Background())
	return r
}

// declared checks that the driver says of itself that a read can fail so.
func (r *run) declared(err error) {
	r.t.Helper()
	if reason := sensors.ReasonOf(err); !slices.Contains(r.driver.ReasonsOf(r.env.Options().Claims()), reason) {
		r.t.Errorf("%s: %s: it fails for the reason %s, which is not among the driver's Reasons: %v", r.driver.Name, r.fault, reason, err)
	}
}

// readAll builds the sensor and reads it in one world and in the next. Its
// error is the first.
func (r *run) readAll() error {
	r.t.Helper()
	s, err := r.driver.New(r.ctx, r.env)
	phase := 0
	if err == nil {
		err = r.read(s, phase)
	}
	if err == nil && r.wrong == "" && r.c.Next != nil {
		phase++
		r.env.NextWake(time.Hour)
		r.c.Next(r.env)
		err = r.read(s, phase)
	}
	if c, ok := s.(io.Closer); ok {
		_ = c.Close()
	}
	if err == nil {
		return nil
	}
	if err.Error() == "" {
		r.t.Errorf("%s: %s: the error says nothing", r.driver.Name, r.fault)
	}
	r.declared(err)
	if (r.bus != nil || len(r.env.Wires) > 0) && r.ctx.Err() == nil && r.fault != "" {
		r.again(phase)
	}
	return err
}

// read reads a sensor and holds what it gives against the healthy world.
func (r *run) read(s sensors.Sensor, phase int) error {
	r.t.Helper()
	got, failures, err := Sense(r.ctx, r.t, r.driver, s)
	if err != nil {
		return err
	}
	for _, f := range failures {
		r.declared(f.Err)
	}
	r.got, r.failures = append(r.got, got), append(r.failures, failures)
	if r.fault == "" {
		r.partial = len(failures) > 0 || len(got) == 0
		r.want = append(r.want, got)
		return nil
	}
	r.compare(got, failures, r.want[phase])
	return nil
}

// again reads once more when the fault is over: what it did to the chip
// mustn't last.
func (r *run) again(phase int) {
	r.t.Helper()
	if r.bus != nil {
		r.bus.alter = nil
	}
	for kind, connected := range r.env.Wires {
		if mend := wireKinds[kind].mend; mend != nil {
			mend(connected)
		}
	}
	r.env.NextWake(time.Second)
	s, err := r.driver.New(r.ctx, r.env)
	if err == nil {
		err = r.read(s, phase)
	}
	if err != nil {
		r.t.Errorf("%s: %s: when that is over the read still fails: %v", r.driver.Name, r.fault, err)
	}
}

// compare checks readings against those of the healthy world.
func (r *run) compare(got []sensors.Reading, failures []sensors.Failure, want []sensors.Reading) {
	r.t.Helper()
	for _, g := range got {
		if !slices.ContainsFunc(want, func(w sensors.Reading) bool { return same(g, w) }) {
			r.wrong = fmt.Sprintf("gives %s%v = %v, which the healthy world doesn't", g.Quantity.Name, g.Labels, g.Value)
			return
		}
	}
	if len(got) < len(want) && len(failures) == 0 {
		r.t.Errorf("%s: %s: %d of %d readings are missing and nothing says why", r.driver.Name, r.fault, len(want)-len(got), len(want))
	}
	r.partial = r.partial || len(got) < len(want)
}

func same(a, b sensors.Reading) bool {
	return a.Quantity.MetricName() == b.Quantity.MetricName() && slices.Equal(a.Labels, b.Labels) && a.Value == b.Value && a.At == b.At
}
