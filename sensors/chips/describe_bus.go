package chips

import (
	"bytes"
	"fmt"
	"time"

	"example.org/dormouse/daemon/duration"
)

// A busStep is one write of a whole measurement, or one wait.
type busStep struct {
	write hex
	wait  time.Duration
}

// String is the step as an example has it.
func (b busStep) String() string {
	if b.write == nil {
		return duration.Format(b.wait)
	}
	return fmt.Sprintf("% x", b.write)
}

// holdBus compares what the steps write and wait with the example.
func (t *try) holdBus() error {
	const order = "in the order startup, release, wake, identity, prepare, measure, sleep"
	steps := t.steps()
	for i := range max(len(steps), len(t.bus)) {
		switch {
		case i >= len(steps):
			return fmt.Errorf("bus: number %d is %s, and the steps end before it (%s)", i+1, t.bus[i], order)
		case i >= len(t.bus):
			return fmt.Errorf("bus: it ends after %d, and then the steps have %s (%s)", i, steps[i], order)
		case steps[i].wait != t.bus[i].wait || !bytes.Equal(steps[i].write, t.bus[i].write):
			return fmt.Errorf("bus: number %d is %s, and the steps have %s (%s)", i+1, t.bus[i], steps[i], order)
		}
	}
	return nil
}

// steps are all that is written and waited, in order.
func (t *try) steps() []busStep {
	s := t.engine
	var steps []busStep
	wait := func(d time.Duration) {
		switch last := len(steps) - 1; {
		case d == 0:
		case last >= 0 && steps[last].write == nil:
			steps[last].wait += d
		default:
			steps = append(steps, busStep{wait: d})
		}
	}
	add := func(ops ...op) {
		for i := range ops {
			if len(ops[i].w) > 0 {
				steps = append(steps, busStep{write: ops[i].w})
			}
			wait(ops[i].wait)
		}
	}
	wait(s.chip.startup)
	add(s.release.ops...)
	add(s.wake.ops...)
	for i := range s.chip.identity {
		if id := &s.chip.identity[i]; !id.probe {
			add(s.compileStep(&id.step, nil))
		}
	}
	add(s.prepare.ops...)
	add(t.input.ranges[0].measure.ops...)
	add(s.sleep.ops...)
	return steps
}
