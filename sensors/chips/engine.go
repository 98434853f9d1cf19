package chips

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.org/dormouse/sensors"
)

// An engine is a sensor that runs the description of its chip.
type engine struct {
	device
	env    sensors.Env
	family *family
	chip   *chip
	serial string // as identify found it
	part   string

	release, wake, prepare, constants, sleep phase

	inputs   []input
	failures []failure // of channels, in this measurement
	frame    frame
	known    [][]byte // answers to the questions of identity, with their checksums
	last     []byte   // the last result that was read by itself, with its checksums

	began  sensors.Instant // a measurement
	awake  bool            // something was sent that sleep has to end
	op     *op             // of the poll under way
	polled func() (bool, error)

	doubtful bool // as chip.doubtful
	agrees   bool // as chip.agrees
}

// An input is a channel, or all that a chip without channels measures.
type input struct {
	name   string
	ranges []program // one for each value of the automatic setting, else one
	at     int       // the one to begin with
	values []float64
	before []float64 // of the first of two measurements that must agree
}

// A failure is that of one channel, which says nothing about the others.
type failure struct {
	channel string
	err     error
}

// newEngine makes the sensor without asking the chip.
func newEngine(e sensors.Env, f *family, c *chip) *engine {
	s := &engine{device: newDevice(e, f.addressesOf(c)), env: e, family: f, chip: c}
	s.polled = s.ready
	s.compile(e.Options())
	return s
}

// start is the driver's New.
func (s *engine) start(ctx context.Context) error {
	if s.chip.startup > 0 { // its supply may have risen just now
		if err := s.env.Sleep(ctx, s.chip.startup); err != nil {
			return err
		}
	}
	err := s.set(ctx)
	if err != nil {
		s.lieDown()
	}
	return err
}

func (s *engine) set(ctx context.Context) error {
	if len(s.chip.identity)+len(s.prepare.ops)+len(s.constants.ops) == 0 {
		return nil
	}
	if err := s.run(ctx, &s.release); err != nil {
		return err
	}
	if err := s.run(ctx, &s.wake); err != nil {
		return err
	}
	if err := s.identify(ctx, false); err != nil {
		return err
	}
	if err := s.run(ctx, &s.prepare); err != nil {
		return err
	}
	if err := s.verify(ctx, &s.prepare); err != nil {
		return err
	}
	s.frame.data = s.frame.data[:0]
	if err := s.run(ctx, &s.constants); err != nil {
		return err
	}
	s.frame.constants = append(s.frame.constants, s.frame.data...)
	return nil
}

// Sense measures all inputs and reports them, or fails.
func (s *engine) Sense(ctx context.Context, r *sensors.Report) error {
	s.failures = s.failures[:0]
	err := s.run(ctx, &s.wake)
	for i := range s.inputs {
		if err == nil {
			err = s.take(ctx, &s.inputs[i])
		}
	}
	if err != nil {
		s.lieDown()
		return err
	}
	if s.awake {
		if err := s.rest(ctx); err != nil {
			return err
		}
	}
	return s.report(r)
}

// take measures one input. A channel is measured by itself, so that one that is
// out of range fails alone; any other failure is the chip's.
func (s *engine) take(ctx context.Context, in *input) error {
	err := s.takeRanged(ctx, in)
	if err == nil && s.agrees {
		copy(in.before, in.values)
		if err = s.takeRanged(ctx, in); err == nil {
			err = s.agree(&in.ranges[in.at], in.before, in.values)
		}
	}
	switch {
	case err == nil || in.name == "":
		return err
	case sensors.ReasonOf(err) == sensors.OutOfRange:
		s.fail(in.name, err)
		return nil
	}
	return fmt.Errorf("channel %s: %w", in.name, err)
}

// fail notes why a channel has no value.
func (s *engine) fail(channel string, err error) {
	if !s.failed(channel) {
		s.failures = append(s.failures, failure{channel, fmt.Errorf("channel %s: %w", channel, err)})
	}
}

func (s *engine) failed(channel string) bool {
	return slices.ContainsFunc(s.failures, func(f failure) bool { return f.channel == channel })
}

// takeRanged measures in the finest range that holds the value where the range
// is automatic.
func (s *engine) takeRanged(ctx context.Context, in *input) error {
	for tries := range in.ranges {
		if err := s.takeOnce(ctx, &in.ranges[in.at]); err != nil {
			return err
		}
		next := s.other(in)
		if next == in.at || tries == len(in.ranges)-1 {
			break
		}
		in.at = next
	}
	return s.decode(&in.ranges[in.at], in.values)
}

func (s *engine) takeOnce(ctx context.Context, p *program) error {
	err := s.measure(ctx, p)
	for tries := 1; err != nil && tries < mostLate && errors.As(err, new(late)); tries++ {
		err = s.measure(ctx, p)
	}
	if err != nil && errors.As(err, new(late)) {
		err = fmt.Errorf("%w, or each of %d had ended before the chip could be looked at: take a setting that measures longer, or a faster bus", err, mostLate)
	}
	if err != nil || !s.doubtful || !stuck(s.frame.data) {
		return err
	}
	// A chip that was reset reads so, too.
	if err := s.run(ctx, &s.wake); err != nil {
		return err
	}
	return s.measure(ctx, p)
}

// other is the range that the result asks for.
func (s *engine) other(in *input) int {
	a := s.chip.auto()
	if a == nil {
		return in.at
	}
	raw := in.ranges[in.at].auto.integer(s.frame.data[a.at:])
	switch {
	case raw >= a.high && in.at > 0:
		return in.at - 1
	case raw < a.low && in.at < len(in.ranges)-1:
		return in.at + 1
	}
	return in.at
}

// measure fills the frame.
func (s *engine) measure(ctx context.Context, p *program) error {
	s.frame.data, s.last = s.frame.data[:0], s.last[:0]
	s.frame.chosen = p.chosen
	s.awake = len(s.sleep.ops) > 0
	if err := s.run(ctx, &p.measure); err != nil {
		return err
	}
	if err := s.verify(ctx, &p.measure); err != nil {
		return err
	}
	// What was set once is still so, and where nothing set proves that the bus
	// wasn't stuck, the identity does.
	if err := s.verify(ctx, &s.prepare); err != nil {
		return err
	}
	return s.recognise(ctx, p)
}

// rest puts the chip to sleep.
func (s *engine) rest(ctx context.Context) error {
	s.awake = false
	if err := s.run(ctx, &s.sleep); err != nil {
		return err
	}
	return s.verify(ctx, &s.sleep)
}

// lieDown puts a chip to sleep whose measurement failed, even where the
// context has ended. The failure is told; what this one says adds nothing.
func (s *engine) lieDown() {
	if s.awake || len(s.wake.ops) > 0 {
		_ = s.run(context.Background(), &s.sleep)
	}
	s.awake = false
}

// report reports the channels that are good; without any it is their errors.
func (s *engine) report(r *sensors.Report) error {
	good := false
	for i := range s.inputs {
		in := &s.inputs[i]
		for j := range in.ranges[in.at].fields {
			f := &in.ranges[in.at].fields[j]
			switch {
			case f.skip || s.failed(f.channel):
				continue
			case f.channel == "":
				r.Set(f.quantity, in.values[j])
			default:
				r.Set(f.quantity, in.values[j], f.channel)
			}
			good = true
		}
	}
	if !good {
		return s.channelErrors()
	}
	for _, f := range s.failures {
		r.Fail(f.err, f.channel)
	}
	return nil
}

// channelErrors are those of all channels that failed; nil: none did.
func (s *engine) channelErrors() error {
	var all error
	for _, f := range s.failures {
		all = errors.Join(all, f.err)
	}
	return all
}
