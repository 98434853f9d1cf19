package chips

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"example.org/dormouse/sensors"
)

// A phase is a list of steps with the settings put in.
type phase struct {
	ops  []op
	sets []*op // those of ops that are read back
}

// An op is a step as it is done for one sensor.
type op struct {
	*step
	timed bool // when it is written matters to the next
	from  hex  // what back is read by
	w     hex  // what is written, with the settings' bits
	back  hex  // what must be read back from w[0]; nil: nothing
	wait  time.Duration
	sum   *checksum // over the answer
	n     int       // bytes of data to be read
	split bool      // the read is a transaction of its own
	asks  hex       // what is written in one transaction with the read; nil: nothing
	polls bool      // the read may have to be repeated
	twice bool
	label string
}

// compilePhase puts the settings of a program into steps.
func (s *engine) compilePhase(steps []step, p *program) phase {
	var ph phase
	for i := range steps {
		if !steps[i].fits(p) {
			continue
		}
		o := s.compileStep(&steps[i], p)
		if o.back != nil { // only the last setting of a register can be read back
			for j := range ph.ops {
				if before := &ph.ops[j]; before.back != nil && before.w[0] == o.w[0] {
					before.back = nil
				}
			}
		}
		if o.begun && len(ph.ops) > 0 {
			ph.ops[len(ph.ops)-1].timed = true
		}
		ph.ops = append(ph.ops, o)
	}
	for i := range ph.ops {
		if ph.ops[i].back != nil {
			ph.sets = append(ph.sets, &ph.ops[i])
		}
	}
	return ph
}

// inTime is how long a measurement must take for a transaction to fall into it:
// at 100 kHz one takes half of that.
const inTime = time.Millisecond

func (st *step) fits(p *program) bool {
	takes := func(settings []string) (d time.Duration) {
		for _, name := range settings {
			d += p.value(name).time
		}
		return d
	}
	return (len(st.during) == 0 || takes(st.during) >= inTime) && (len(st.unseen) == 0 || takes(st.unseen) < inTime)
}

func (s *engine) compileStep(st *step, p *program) op {
	o := op{step: st, w: st.write, wait: st.wait, n: max(st.result, st.status)}
	if st.set != nil {
		o.w, o.back, o.from = st.set, st.readBack(), st.from
		if o.from == nil {
			o.from = st.set[:1]
		}
	}
	if p != nil {
		var bits uint64
		for _, name := range st.with {
			bits |= p.bitsOf(name)
		}
		o.w, o.back = orBits(o.w, bits), orBits(o.back, bits)
		for _, name := range st.times {
			o.wait += p.value(name).time
		}
	}
	if !st.plain {
		o.sum = s.chip.sum
	}
	o.split = o.n > 0 && (len(o.w) == 0 || st.wait > 0 || len(st.times) > 0)
	if !o.split {
		o.asks = o.w
	}
	o.polls = st.until != nil || st.patience > 0
	o.twice = st.result > 0 && o.sum == nil && st.once == ""
	switch {
	case len(o.w) == 0:
		o.label = "the answer"
	case s.chip.commands:
		o.label = fmt.Sprintf("command 0x%x", o.w)
	default:
		o.label = fmt.Sprintf("register 0x%02x", o.w[0])
	}
	return o
}

// readBack is what the register of set must read; nil: nothing is set.
func (st *step) readBack() hex {
	if st.set == nil || st.back != nil {
		return st.back
	}
	return st.set[1:]
}

// orBits is w with bits at its end.
func orBits(w hex, bits uint64) hex {
	if len(w) == 0 || bits == 0 {
		return w
	}
	w = bytes.Clone(w)
	for i := len(w) - 1; i >= 0 && bits != 0; i-- {
		w[i] |= byte(bits)
		bits >>= 8
	}
	return w
}

func allBits(n int) uint64 { return ^uint64(0) >> (64 - 8*min(n, 8)) }

// number is the first eight bytes of p as one big-endian number.
func number(p []byte) uint64 {
	var v uint64
	for _, b := range p[:min(len(p), 8)] {
		v = v<<8 | uint64(b)
	}
	return v
}

func (s *engine) run(ctx context.Context, ph *phase) error {
	for i := range ph.ops {
		o := &ph.ops[i]
		if o.timed {
			s.acquireBus()
		}
		err := s.do(ctx, o)
		if i > 0 && ph.ops[i-1].timed || o.timed && err != nil {
			s.releaseBus()
		}
		if err != nil {
			if o.n == 0 && len(o.w) == 0 {
				return err
			}
			return fmt.Errorf("%s: %w", o.label, err)
		}
	}
	return nil
}

func (s *engine) do(ctx context.Context, o *op) error {
	if o.merge {
		return s.blend(ctx, o)
	}
	data, err := s.fetch(ctx, o)
	switch {
	case err != nil || o.n == 0:
		return err
	case o.result == 0 && o.sum != nil:
		return s.notAResult(o)
	case o.result == 0:
		return nil
	}
	at := len(s.frame.data)
	s.frame.data = append(s.frame.data, data...)
	if o.split {
		s.last = append(s.last[:0], s.raw(o)...)
	}
	if !o.twice {
		return nil
	}
	return s.readAgain(ctx, o, s.frame.data[at:])
}

// readAgain reads a result until two reads agree, three times in all.
func (s *engine) readAgain(ctx context.Context, o *op, held []byte) error {
	for again := range 2 {
		data, err := s.receive(ctx, o)
		switch {
		case err != nil:
			return err
		case again == 0 && bytes.Equal(held, data):
			return nil // fetch has checked it
		case bytes.Equal(held, data):
			return o.check(&s.device, data)
		case again == 1:
			return errUnequal("it", held, data)
		}
		copy(held, data) // it was wrong, or the chip has got another meanwhile
	}
	return nil
}

// notAResult refuses a result that is what the chip answers to the question of
// this step: another program asked it between our command and our read.
func (s *engine) notAResult(o *op) error {
	if raw := s.raw(o); bytes.Equal(raw, s.last) {
		return sensors.Errorf(sensors.Busy, "it is % x, as the result was: another program uses the chip", raw)
	}
	return nil
}

// check holds an answer against what must be.
func (o *op) check(d *device, data []byte) error {
	for i := range o.must {
		if err := o.must[i].check(d, data); err != nil {
			return err
		}
	}
	return nil
}

// bitsOf is the mask of what is read back.
func (o *op) bitsOf() uint64 {
	if o.mask == 0 {
		return allBits(len(o.back))
	}
	return o.mask
}

// fetch does a step. The data it read are valid until the next read.
func (s *engine) fetch(ctx context.Context, o *op) ([]byte, error) {
	if o.timed {
		s.began = s.env.Now()
	}
	if len(o.w) > 0 && (o.n == 0 || o.split) {
		err := s.tx(ctx, o.w, nil)
		if err != nil && !(o.absent && sensors.ReasonOf(err) == sensors.NoAnswer) {
			return nil, err
		}
	}
	if o.wait > 0 {
		if err := s.env.Sleep(ctx, o.wait); err != nil {
			return nil, err
		}
	}
	if o.n == 0 {
		return nil, nil
	}
	var data []byte
	var err error
	if o.polls {
		data, err = s.await(ctx, o)
	} else {
		data, err = s.receive(ctx, o)
	}
	if err == nil && o.result > 0 && o.split {
		err = s.busy(o)
	}
	if err != nil {
		return nil, err
	}
	err = o.check(&s.device, data)
	if err != nil && o.begun && s.env.Now().Sub(s.began) >= inTime {
		return nil, late{err}
	}
	return data, err
}

// late is that a measurement may have ended before it could be seen.
type late struct{ error }

func (l late) Unwrap() error { return l.error }

// mostLate is how often a measurement is begun that is seen too late: a
// transaction of a busy machine may take longer than a measurement, and one of
// many falls into it.
const mostLate = 50
