package chips

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/dormouse/sensors"
)

// check refuses a description that contradicts itself, or that breaks a rule
// without saying why.
func (f *family) check() error {
	if len(f.models) == 0 || len(f.addresses) == 0 {
		return errors.New("it has no model or no address")
	}
	for i := range f.models {
		c := &f.models[i]
		if (c.name == "") != (len(f.models) == 1) {
			return errors.New("models have names where there are several, and only there")
		}
		if err := c.check(f); err != nil {
			return fmt.Errorf("%s: %w", c.title(f), err)
		}
	}
	for alias, model := range f.aliases {
		if !slices.ContainsFunc(f.models, func(c chip) bool { return c.name == model }) {
			return fmt.Errorf("alias %s is the model %q, which it doesn't have", alias, model)
		}
	}
	return nil
}

func (c *chip) check(f *family) error {
	for _, a := range c.addresses {
		if !slices.Contains(f.addresses, a) {
			return fmt.Errorf("address %s isn't among the family's", a)
		}
	}
	if c.sum != nil && c.sum.every < 1 {
		return errors.New("the checksum stands after no byte")
	}
	for i := range c.settings {
		if err := c.settings[i].check(); err != nil {
			return fmt.Errorf("setting %s: %w", c.settings[i].name, err)
		}
	}
	for i := range c.identity {
		if err := c.identity[i].check(c); err != nil {
			return fmt.Errorf("identity %d: %w", i, err)
		}
	}
	if err := c.checkSteps(); err != nil {
		return err
	}
	if c.doubtful() && f.unverifiable == "" {
		return errors.New("nothing tells a stuck bus from a result: set something that is read back and is neither all 0 nor all 1, or say why that can't be in unverifiable")
	}
	return c.checkFields(f)
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
			st := &ph.steps[i]
			if err := st.check(c); err != nil {
				return fmt.Errorf("%s, step %d: %w", ph.name, i, err)
			}
			if st.result > 0 && ph.name != "constants" && ph.name != "measure" {
				return fmt.Errorf("%s, step %d: a result isn't read there", ph.name, i)
			}
		}
	}
	switch {
	case len(c.sleep) > 1 || len(c.sleep) == 1 && max(c.sleep[0].status, c.sleep[0].result) > 0:
		return errors.New("sleep is more than one write: a read that is broken off may make but one transaction")
	case sizeOf(c.measure) == 0:
		return errors.New("no result is read")
	}
	return nil
}

// sizeOf is how many bytes the results of the steps are.
func sizeOf(steps []step) (n int) {
	for _, st := range steps {
		n += st.result
	}
	return n
}

func (st *step) check(c *chip) error {
	n := max(st.result, st.status)
	known := func(name string) bool {
		return name == "channel" && len(c.channels) > 0 || slices.ContainsFunc(c.settings, func(s setting) bool { return s.name == name })
	}
	for _, name := range slices.Concat(st.with, st.times, st.during) {
		if !known(name) {
			return fmt.Errorf("there is no setting %s", name)
		}
	}
	switch {
	case st.set != nil && (st.write != nil || len(st.set) < 2 || len(st.set) > 9):
		return errors.New("set is a register and 1 to 8 bytes, instead of write")
	case st.back != nil && len(st.back) != len(st.set)-1:
		return errors.New("back isn't as long as what is set")
	case st.result > 0 && st.status > 0:
		return errors.New("it reads both a result and a status")
	case n > 0 && st.set != nil:
		return errors.New("it sets and reads")
	case (st.merge || st.from != nil) && st.set == nil || st.merge && len(st.with) > 0:
		return errors.New("merge and from are of set, and merge takes no settings")
	case n < 0 || n > 32 || c.sum != nil && !st.plain && n%c.sum.every != 0:
		return fmt.Errorf("%d bytes are read, which must be 1 to 32 and end with a checksum where there is one", n)
	case n == 0 && (st.until != nil || st.must != nil || st.patience > 0 || st.once != "" || st.begun):
		return errors.New("it tests what it doesn't read")
	case st.wait < 0 || st.wait > time.Minute || st.patience < 0 || st.patience > time.Minute:
		return errors.New("it waits for more than a minute")
	case st.until != nil && (st.until.within <= 0 || st.until.every <= 0 || st.until.is&^st.until.mask != 0 || st.until.mask&^allBits(n) != 0):
		return errors.New("until has no time, or asks for bits that aren't read")
	case st.until != nil && len(st.write) > 0 && st.until.every < st.wait:
		return errors.New("until asks again before the command has its answer")
	case st.set == nil && (st.mask != 0 || st.back != nil):
		return errors.New("mask and back are of set")
	case st.mask&^allBits(len(st.set)-1) != 0 && st.set != nil:
		return errors.New("mask has bits that aren't set")
	}
	for _, t := range st.must {
		if t.says == "" || t.mask != 0 && t.is&^t.mask != 0 || t.mask&^allBits(n) != 0 {
			return errors.New("must says nothing, or asks for bits that aren't read")
		}
	}
	return st.checkBits(c)
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
				return fmt.Errorf("the bits of %s=%s don't fit", name, v.name)
			}
			all |= v.bits
		}
		taken |= all // another's bits there would change the value
	}
	return nil
}

// valuesOf are the values of a setting, or the channels as such.
func (c *chip) valuesOf(name string) []value {
	var all []value
	if name == "channel" {
		for _, ch := range c.channels {
			all = append(all, value{name: ch.name, bits: ch.bits})
		}
	}
	for i := range c.settings {
		if c.settings[i].name == name {
			all = append(all, c.settings[i].values...)
		}
	}
	return all
}

func (st *setting) check() error {
	switch {
	case st.help == "" || len(st.values) == 0:
		return errors.New("it has no help or no values")
	case !slices.Contains(st.choices(), st.unset):
		return fmt.Errorf("its default %q is none of its values", st.unset)
	case st.auto == nil:
		return nil
	}
	k, err := parseKind(st.auto.kind)
	if err != nil || k.float || st.auto.low >= st.auto.high {
		return fmt.Errorf("auto looks at no number: %w", err)
	}
	return nil
}

func (id *identity) check(c *chip) error {
	if id.status < 1 || id.result > 0 || id.set != nil {
		return errors.New("it must read a status")
	}
	if id.serial && c.sum == nil && !id.elective {
		return errors.New("a serial number without a checksum tells nothing")
	}
	if !id.serial && len(id.is) == 0 {
		return errors.New("any answer would do")
	}
	return id.step.check(c)
}

func (c *chip) checkFields(f *family) error {
	size := sizeOf(c.measure)
	if len(c.fields) == 0 {
		return errors.New("it has no fields")
	}
	if a := c.auto(); a != nil {
		if k, err := parseKind(a.kind); err != nil || a.at < 0 || a.at+k.bytes > size {
			return errors.New("auto looks beyond the frame")
		}
	}
	for i := range c.fields {
		if err := c.fields[i].check(c, f, size); err != nil {
			return fmt.Errorf("field %d, %s: %w", i, c.fields[i].quantity.Name, err)
		}
	}
	return nil
}

func (fd *field) check(c *chip, f *family, size int) error {
	if fd.quantity.Range == nil {
		return errors.New("its quantity has no range")
	}
	for _, name := range fd.by {
		if !slices.ContainsFunc(c.settings, func(s setting) bool { return s.name == name }) {
			return fmt.Errorf("there is no setting %s", name)
		}
	}
	if fd.per != "" && !slices.ContainsFunc(f.options, func(o sensors.Option) bool { return o.Name == fd.per && o.Type == sensors.NumberOption }) {
		return fmt.Errorf("there is no number %s", fd.per)
	}
	if fd.kind == "" {
		if c.decode == nil {
			return errors.New("nothing computes it")
		}
		return nil
	}
	k, err := parseKind(fd.kind)
	switch {
	case err != nil:
		return err
	case fd.at < 0 || fd.at+k.bytes > size:
		return fmt.Errorf("its bytes %d to %d are beyond the %d of the frame", fd.at, fd.at+k.bytes-1, size)
	case (fd.low < fd.high) != (fd.says != ""):
		return errors.New("a saturated value says what it is, and only one")
	}
	return nil
}
