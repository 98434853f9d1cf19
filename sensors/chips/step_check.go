package chips

import (
	"fmt"
	"slices"
	"time"
)

// A wrongKey is a mistake in a description, with the key that has it.
type wrongKey struct {
	key string
	error
}

func (w wrongKey) Error() string { return w.key + ": " + w.error.Error() }
func (w wrongKey) Unwrap() error { return w.error }

// wrong is a mistake in the key.
func wrong(key, format string, args ...any) error {
	return wrongKey{key, fmt.Errorf(format, args...)}
}

// A rule is what a mistake in a key would be.
type rule struct {
	broken bool
	key    string
	says   string
}

// firstBroken is the first of the rules that is broken.
func firstBroken(rules ...rule) error {
	for _, r := range rules {
		if r.broken {
			return wrong(r.key, "%s", r.says)
		}
	}
	return nil
}

// namedSteps are the steps of a phase, by its key.
type namedSteps struct {
	name  string
	steps []step
}

// phases are the chip's, in the order in which they are run.
func (c *chip) phases() []namedSteps {
	return []namedSteps{{"release", c.release}, {"wake", c.wake}, {"prepare", c.prepare}, {"constants", c.constants}, {"measure", c.measure}, {"sleep", c.sleep}}
}

func (c *chip) checkSteps() error {
	for _, ph := range c.phases() {
		for i := range ph.steps {
			if err := ph.check(i, c); err != nil {
				return fmt.Errorf("%s: %w", stepSubject(ph.name, i), err)
			}
		}
	}
	return firstBroken(
		rule{len(c.sleep) > 1 || len(c.sleep) == 1 && max(c.sleep[0].status, c.sleep[0].result) > 0, "sleep", "is more than one write: a read that is broken off may make but one transaction"},
		rule{sizeOf(c.measure) == 0, "measure", "no result is read"},
	)
}

func stepSubject(name string, i int) string {
	return fmt.Sprintf("%s, step %d", name, i+1)
}

// check holds a step of the phase to the rules of every step, and of its place.
func (ph namedSteps) check(i int, c *chip) error {
	st := &ph.steps[i]
	if err := st.check(c); err != nil {
		return err
	}
	if st.result > 0 && ph.name != "constants" && ph.name != "measure" {
		return wrong("result", "isn't read there: make it a status, or read it in measure")
	}
	if !st.begun {
		return nil
	}
	const begins = "looks at what the step before has begun, and "
	if ph.name != "measure" || i == 0 {
		return wrong("begun", begins+"there is none: put it into measure, after the step that writes what begins a measurement")
	}
	before := &ph.steps[i-1]
	return firstBroken(
		rule{before.write == nil && before.set == nil || before.merge || len(before.during) > 0, "begun", begins + "that one doesn't always write: put it after the step that writes what begins a measurement"},
		rule{before.wait >= inTime || len(before.times) > 0, "begun", begins + "that one waits, so that the measurement may have ended: put the wait into a step after this one"},
		rule{len(st.must) == 0, "begun", "needs must: the test that shows a measurement under way"},
	)
}

// sizeOf is how many bytes the results of the steps are.
func sizeOf(steps []step) (n int) {
	for _, st := range steps {
		n += st.result
	}
	return n
}

// readKey is the key that says how many bytes the step reads.
func (st *step) readKey() string {
	if st.status > 0 {
		return "status"
	}
	return "result"
}

func (st *step) check(c *chip) error {
	for _, list := range []struct {
		key   string
		names []string
	}{{"with", st.with}, {"times", st.times}, {"during", st.during}, {"unseen", st.unseen}} {
		for _, name := range list.names {
			if (name != "channel" || len(c.channels) == 0) && !slices.ContainsFunc(c.settings, func(s setting) bool { return s.name == name }) {
				return wrong(list.key, "there is no setting %s", name)
			}
		}
	}
	n := max(st.result, st.status)
	err := firstBroken(
		rule{st.set != nil && (st.write != nil || len(st.set) < 2 || len(st.set) > 9), "set", "is a register and 1 to 8 bytes, instead of write"},
		rule{st.back != nil && len(st.back) != len(st.set)-1, "back", "isn't as long as what is set"},
		rule{st.result > 0 && st.status > 0, "status", "is read besides a result: make it a step of its own"},
		rule{n > 0 && st.set != nil, "set", "is read back after the measurement, and this step reads something else: make it a step of its own"},
		rule{st.merge && (st.set == nil || len(st.with) > 0), "merge", "is of set, and takes no settings"},
		rule{st.from != nil && st.set == nil, "from", "is of set"},
		rule{st.mask != 0 && st.set == nil, "mask", "is of set"},
		rule{st.mask != 0 && st.mask&^allBits(len(st.set)-1) != 0, "mask", "has bits that aren't set"},
		rule{n < 0 || n > longest, st.readKey(), "1 to 32 bytes are read"},
		rule{c.sum != nil && !st.plain && n%c.sum.every != 0, st.readKey(), "doesn't end with a checksum, as sum has it: read whole words, or say plain where this answer has none"},
		rule{st.wait < 0 || st.wait > time.Minute, "wait", "is more than a minute"},
		rule{st.patience < 0 || st.patience > time.Minute, "patience", "is more than a minute"},
	)
	if err == nil {
		err = st.checkTests(n)
	}
	if err == nil {
		err = st.checkBits(c)
	}
	return err
}

// checkTests refuses tests of what isn't read.
func (st *step) checkTests(n int) error {
	const unread = "tests what it doesn't read: say how many bytes, in result or status"
	err := firstBroken(
		rule{n == 0 && st.until != nil, "until", unread}, rule{n == 0 && st.must != nil, "must", unread}, rule{n == 0 && st.patience > 0, "patience", unread},
		rule{n == 0 && st.begun, "begun", unread}, rule{n == 0 && st.once != "", "once", unread},
	)
	if err != nil {
		return err
	}
	if u := st.until; u != nil {
		err = firstBroken(
			rule{u.within <= 0 || u.every <= 0, "until", "has no time: within says for how long, every how often"},
			rule{u.mask == 0 || u.mask&^allBits(n) != 0, "until", "looks at no bit, or at bits that aren't read"},
			rule{u.is&^u.mask != 0, "until", "asks for bits that mask leaves out"},
			rule{len(st.write) > 0 && u.every < st.wait, "until", "asks again before the command has its answer: every is at least wait"},
		)
	}
	for i := range st.must {
		t := &st.must[i]
		if err == nil {
			err = firstBroken(
				rule{t.says == "", "must", "says nothing"},
				rule{t.mask&^allBits(n) != 0 || t.is&^allBits(n) != 0, "must", "asks for bits that aren't read"},
				rule{t.mask != 0 && t.is&^t.mask != 0, "must", "asks for bits that mask leaves out"},
			)
		}
	}
	return err
}

// checkBits refuses settings whose bits would reach into the register.
func (st *step) checkBits(c *chip) error {
	if len(st.with) == 0 {
		return nil
	}
	var room uint64
	switch {
	case st.set != nil:
		room = allBits(len(st.set) - 1)
	case len(st.write) > 1 && !c.commands:
		room = allBits(len(st.write) - 1)
	default:
		room = allBits(len(st.write))
	}
	taken := number(append(hex(nil), append(st.write, st.set...)...))
	for _, name := range st.with {
		var all uint64
		for _, v := range c.valuesOf(name) {
			if v.bits&^room != 0 || v.bits&taken != 0 {
				return wrong("with", "the bits of %s=%s don't fit", name, v.name)
			}
			all |= v.bits
		}
		taken |= all // another's bits there would change the value
	}
	return nil
}
