package chips

import (
	"errors"
	"fmt"
	"slices"

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
	if err := c.checkSteps(); err != nil {
		return err
	}
	for i := range c.settings {
		if err := c.settings[i].check(sizeOf(c.measure)); err != nil {
			return fmt.Errorf("setting %s: %w", c.settings[i].name, err)
		}
	}
	for i := range c.identity {
		if err := c.identity[i].check(c); err != nil {
			return fmt.Errorf("identity %d: %w", i+1, err)
		}
	}
	if c.doubtful() && f.unverifiable == "" {
		return wrong("unverifiable", "is missing, and nothing tells a stuck bus from a result: set something that is read back and is neither all 0 nor all 1, or say there why that can't be")
	}
	return c.checkFields(f)
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

// check looks at a setting; size is that of the frame.
func (st *setting) check(size int) error {
	err := firstBroken(
		rule{st.help == "", "help", "is missing"},
		rule{len(st.values) == 0, "values", "are missing"},
		rule{!slices.Contains(st.choices(), st.unset), "default", fmt.Sprintf("%q is not one of its values", st.unset)},
	)
	a := st.auto
	if err != nil || a == nil {
		return err
	}
	k, err := parseKind(a.kind)
	if err != nil {
		return wrong("auto", "%w", err)
	}
	return firstBroken(
		rule{k.float, "auto", "looks at no whole number"},
		rule{a.low >= a.high, "auto", "low is not below high"},
		rule{a.at < 0 || a.at+k.bytes > size, "auto", fmt.Sprintf("its bytes %d to %d are beyond the %d of the frame", a.at, a.at+k.bytes-1, size)},
	)
}

func (id *identity) check(c *chip) error {
	err := firstBroken(
		rule{id.status < 1 || id.result > 0 || id.set != nil, "status", "is missing: an identity reads one"},
		rule{id.serial && c.sum == nil && !id.elective, "serial", "tells nothing without a checksum"},
		rule{!id.serial && len(id.is) == 0, "is", "is missing: any answer would do"},
	)
	if err != nil {
		return err
	}
	return id.step.check(c)
}

func (c *chip) checkFields(f *family) error {
	if len(c.fields) == 0 {
		return errors.New("it has no fields")
	}
	for i := range c.fields {
		if err := c.fields[i].check(c, f, sizeOf(c.measure)); err != nil {
			return fmt.Errorf("field %d, %s: %w", i+1, c.fields[i].quantity.Name, err)
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
			return wrong("by", "there is no setting %s", name)
		}
	}
	if fd.per != "" && !slices.ContainsFunc(f.options, func(o sensors.Option) bool { return o.Name == fd.per && o.Type == sensors.NumberOption }) {
		return wrong("per", "there is no number %s", fd.per)
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
		return wrong("type", "%w", err)
	case fd.at < 0 || fd.at+k.bytes > size:
		return wrong("at", "its bytes %d to %d are beyond the %d of the frame", fd.at, fd.at+k.bytes-1, size)
	case (fd.low < fd.high) != (fd.says != ""):
		return wrong("says", "is what a saturated value is, and is given with saturated only")
	}
	return nil
}
