package sensortest

import (
	"context"
	"io"
	"time"

	"example.org/dormouse/sensors"
)

// wireKinds are the fakes of the kinds of wire that sensors open by Env.Open, each
// with a file of its own here.
var wireKinds = map[sensors.WireKind]wireKind{
	sensors.SPIWire:    {open: openSPI, tamper: tamperSPI},
	sensors.SerialWire: {open: openSerial, faults: serialFaults, mend: mendSerial},
}

// A wireKind is the fake of a kind.
type wireKind struct {
	// open gives a driver what the test has connected to Env.Wires.
	open func(e *Env, connected any, config any) (io.Closer, error)
	// tamper puts the faults of transactions between the driver and what is
	// connected, where the wire has transactions as a bus does. May be nil.
	tamper func(connected any, t *tamper) any
	// faults are those of other wires. May be nil.
	faults func(h *harness, connected any) []Fault
	// mend ends a fault of these. May be nil.
	mend func(connected any)
}

// wireFaults are those of the wires that the world has.
func (h *harness) wireFaults() []Fault {
	var faults []Fault
	for kind, w := range wireKinds {
		if connected := h.first.env.Wires[kind]; connected != nil && w.faults != nil {
			faults = append(faults, w.faults(h, connected)...)
		}
	}
	return faults
}

// Open opens what the test has connected of the claim's kind.
func (e *Env) Open(c sensors.Claim, config any) (io.Closer, error) {
	w, ok := wireKinds[c.Kind]
	connected := e.Wires[c.Kind]
	if !ok || connected == nil {
		e.tb.Fatalf("the driver opens %s: set Env.Wires[%q]", c, c.Kind)
	}
	return w.open(e, connected, config)
}

// WithTimeout is a context that ends when d of virtual time has passed.
func (e *Env) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(ctx)
	t := &timed{Context: inner, env: e, at: e.now.Add(d), cancel: cancel}
	return t, func() { cancel(context.Canceled) }
}

// timed is a context with a deadline in virtual time.
type timed struct {
	context.Context
	env    *Env
	at     sensors.Instant
	cancel context.CancelCauseFunc
}

type deadlineKey struct{}

func (t *timed) Err() error {
	if !t.env.now.Before(t.at) {
		t.cancel(context.DeadlineExceeded)
		if t.Context.Err() == nil || context.Cause(t.Context) == context.DeadlineExceeded {
			return context.DeadlineExceeded
		}
	}
	return t.Context.Err()
}

// Value tells the earliest deadline, of this context and those that it is in.
func (t *timed) Value(key any) any {
	if _, ok := key.(deadlineKey); !ok {
		return t.Context.Value(key)
	}
	if outer, ok := t.Context.Value(key).(sensors.Instant); ok && outer.Before(t.at) {
		return outer
	}
	return t.at
}

// passUntil moves the virtual time to a moment, as far as ctx lasts.
func (e *Env) passUntil(ctx context.Context, at sensors.Instant) error {
	if end, ok := ctx.Value(deadlineKey{}).(sensors.Instant); ok && end.Before(at) {
		at = end
	}
	if at.After(e.now) {
		e.now = at
	}
	return ctx.Err()
}
