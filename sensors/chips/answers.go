package chips

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"example.org/dormouse/sensors"
)

// await reads again and again, as the step says.
func (s *engine) await(ctx context.Context, o *op) ([]byte, error) {
	within, every := o.patience, max(o.patience/5, 2*time.Millisecond)
	if o.until != nil {
		within, every = o.until.within, o.until.every
	}
	s.op, s.refusal = o, nil
	if err := s.env.Poll(ctx, within, every, s.polled); err != nil {
		if s.refusal != nil && sensors.ReasonOf(err) == sensors.NotReady {
			return nil, sensors.Errorf(sensors.NotReady, "the chip has no answer yet: %w", s.refusal)
		}
		return nil, err
	}
	return s.data[:o.n], nil
}

// ready reads once, and tells whether that is the answer.
func (s *engine) ready() (bool, error) {
	o := s.op
	data, err := s.receive(context.Background(), o)
	if err != nil && o.patience > 0 && sensors.ReasonOf(err) == sensors.NoAnswer {
		s.refusal = err
		return false, nil
	}
	if err != nil || o.until == nil {
		return true, err
	}
	s.refusal = nil
	if o.until.met(data) {
		return true, nil
	}
	if o.split && len(o.w) > 0 { // the answer was to that command: the next needs it again
		return false, s.tx(context.Background(), o.w, nil)
	}
	return false, nil
}

func (u *until) met(data []byte) bool { return (number(data)&u.mask == u.is) != u.not }

// receive reads the answer of a step and checks it.
func (s *engine) receive(ctx context.Context, o *op) ([]byte, error) {
	return s.readChecked(ctx, o.asks, o.sum, o.n)
}

// raw is the last answer as it came.
func (s *engine) raw(o *op) []byte { return s.in[:o.sum.raw(o.n)] }

// busy refuses what the chip answers to another command: another program asked
// between our command and our read.
func (s *engine) busy(o *op) error {
	raw := s.raw(o)
	for _, known := range s.known {
		if bytes.HasPrefix(known, raw) || bytes.HasPrefix(raw, known) {
			return sensors.Errorf(sensors.Busy, "it is % x, what the chip answers when it is asked what it is: another program uses it", raw)
		}
	}
	return nil
}

// verify reads back what a phase has set.
func (s *engine) verify(ctx context.Context, ph *phase) error {
	for _, o := range ph.sets {
		data, err := s.readChecked(ctx, o.from, o.sum, len(o.back))
		if err != nil {
			return fmt.Errorf("%s: %w", o.label, err)
		}
		if got, want := number(data), number(o.back); (got^want)&o.bitsOf() != 0 {
			return sensors.Errorf(sensors.Identity, "%s reads 0x%x and not the 0x%x that was set: the chip lost its supply for a moment, another program uses it, the bus is stuck, or it is no %s", o.label, data, o.back, s.parts())
		}
	}
	return nil
}

// blend sets the bits of mask where they differ, and leaves the others alone.
func (s *engine) blend(ctx context.Context, o *op) error {
	data, err := s.readChecked(ctx, o.from, o.sum, len(o.back))
	if err != nil {
		return err
	}
	was, want, mask := number(data), number(o.back), o.bitsOf()
	if (was^want)&mask == 0 {
		return nil
	}
	if was, err = s.confirm(ctx, o, was); err != nil {
		return err
	}
	w := append(hex{o.w[0]}, make([]byte, len(o.back))...)
	if err := s.tx(ctx, orBits(w, was&^mask|want&mask), nil); err != nil {
		return err
	}
	return s.env.Sleep(ctx, o.wait)
}

// confirm reads a register that is to be written until two reads agree, three
// times in all: what it holds besides is written back, and a chip with an EEPROM
// keeps that for ever.
func (s *engine) confirm(ctx context.Context, o *op, was uint64) (uint64, error) {
	for again := range 2 {
		data, err := s.readChecked(ctx, o.from, o.sum, len(o.back))
		switch v := number(data); {
		case err != nil:
			return 0, err
		case v == was:
			return v, nil
		case again == 1:
			return 0, errUnequal("it", orBits(make(hex, len(data)), was), data)
		default:
			was = v
		}
	}
	return was, nil
}

// check holds one read against the test.
func (t *test) check(d *device, data []byte) error {
	v := number(data)
	mask := t.mask
	if mask == 0 {
		mask = allBits(len(data))
	}
	if (v&mask == t.is) != t.not {
		return nil
	}
	if t.reason == "" && len(data) > 1 && stuck(data) {
		return d.errStuck("it", v)
	}
	reason := t.reason
	if reason == "" {
		reason = sensors.Identity
	}
	return sensors.Errorf(reason, "it reads 0x%x: %s", data, t.says)
}
