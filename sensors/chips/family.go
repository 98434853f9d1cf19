package chips

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// register makes a driver of the family. A mistake in its description stops
// the program at once.
func (f *family) register() {
	if err := f.check(); err != nil {
		panic(fmt.Sprintf("chips: %s: %v", f.name, err))
	}
	sensors.Register(f.driver())
}

func (f *family) driver() *sensors.Driver {
	return &sensors.Driver{
		Name: f.name, Summary: f.summary, Datasheet: f.datasheet, Wiring: f.wiring, Timing: f.timing, Kernel: f.kernel, Checksum: f.checksum(),
		Reasons: []sensors.Reason{sensors.Checksum, sensors.NotReady, sensors.Identity},
		Options: f.optionList(), Channels: f.channelList(), Measures: f.measures(), Aliases: f.aliases,
		Unverifiable: f.unverifiable, Identity: f.identification(), Default: f.defaultOf, Check: f.checkOptions,
		New: func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
			s := newEngine(e, f, f.model(e.Options()))
			return s, s.start(ctx)
		},
	}
}

// checksum says what protects the answers; empty: nothing does.
func (f *family) checksum() string {
	var all []string
	for _, c := range f.models {
		if text := c.sum.String(); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	for i, c := range f.models {
		text := c.sum.String()
		if text == "" {
			text = "none"
		}
		all = append(all[:i:i], c.title(f)+": "+text)
	}
	return strings.Join(all, ", ")
}

// model is the chip that the options choose.
func (f *family) model(o *sensors.Options) *chip {
	if len(f.models) == 1 {
		return &f.models[0]
	}
	name := o.Text("model")
	return &f.models[slices.IndexFunc(f.models, func(c chip) bool { return c.name == name })]
}

func (f *family) addressesOf(c *chip) []string {
	if c.addresses != nil {
		return c.addresses
	}
	return f.addresses
}

func (f *family) optionList() []sensors.Option {
	list := []sensors.Option{sensors.BusOpt(), sensors.AddrOpt(f.addresses...)}
	if len(f.models) > 1 {
		var names []string
		for _, c := range f.models {
			names = append(names, c.name)
		}
		list = append(list, sensors.Option{Name: "model", Type: sensors.EnumOption, Default: names[0], Choices: names, Help: f.modelHelp})
	}
	for i := range f.models {
		for j := range f.models[i].settings {
			list = f.models[i].settings[j].addTo(list)
		}
	}
	return append(list, f.options...)
}

// addTo adds the option of a setting, or its choices to that of another model.
func (st *setting) addTo(list []sensors.Option) []sensors.Option {
	at := slices.IndexFunc(list, func(o sensors.Option) bool { return o.Name == st.name })
	if at < 0 {
		at = len(list)
		list = append(list, sensors.Option{Name: st.name, Type: sensors.EnumOption, Default: st.unset, Channel: st.channel, Help: st.help})
	}
	o := &list[at]
	for _, choice := range st.choices() {
		if !slices.Contains(o.Choices, choice) {
			o.Choices = append(o.Choices, choice)
		}
	}
	return list
}

func (st *setting) choices() []string {
	var names []string
	if st.auto != nil {
		names = append(names, automatic)
	}
	for _, v := range st.values {
		names = append(names, v.name)
	}
	return names
}

func (f *family) channelList() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, c := range f.models {
		for _, ch := range c.channels {
			add(ch.name)
		}
		for _, field := range c.fields {
			add(field.label)
		}
	}
	return names
}

func (f *family) measures() []*sensors.Quantity {
	var list []*sensors.Quantity
	for _, c := range f.models {
		for _, field := range c.fields {
			if !slices.ContainsFunc(list, func(q *sensors.Quantity) bool { return q.MetricName() == field.quantity.MetricName() }) {
				list = append(list, field.quantity)
			}
		}
	}
	return list
}

// defaultOf is the usual address of the model.
func (f *family) defaultOf(o *sensors.Options, option string) string {
	if option != "addr" {
		return ""
	}
	return f.addressesOf(f.model(o))[0]
}

// checkOptions finds what only one model can't have.
func (f *family) checkOptions(o *sensors.Options) error {
	c := f.model(o)
	if addr := o.Address("addr").String(); !slices.Contains(f.addressesOf(c), addr) {
		return &sensors.OptionError{Key: "addr", Err: fmt.Errorf("a %s has %s: for another of the family give its model", c.title(f), strings.Join(c.addresses, ", "))}
	}
	for _, opt := range f.optionList() {
		at := slices.IndexFunc(c.settings, func(st setting) bool { return st.name == opt.Name })
		switch {
		case opt.Type != sensors.EnumOption || opt.Name == "model":
		case at < 0 && o.Given(opt.Name):
			return &sensors.OptionError{Key: opt.Name, Err: fmt.Errorf("a %s has nothing to be set there", c.title(f))}
		case at >= 0 && !slices.Contains(c.settings[at].choices(), o.Text(opt.Name)):
			return &sensors.OptionError{Key: opt.Name, Err: fmt.Errorf("a %s has %s", c.title(f), strings.Join(c.settings[at].choices(), ", "))}
		}
	}
	return nil
}

func (c *chip) title(f *family) string {
	switch {
	case c.part != "":
		return c.part
	case c.name != "":
		return strings.ToUpper(c.name)
	}
	return strings.ToUpper(f.name)
}

// identification is nil where no model has anything to be known by.
func (f *family) identification() *sensors.Identification {
	id := sensors.Identification{Probe: f.probe}
	var by []string
	for _, c := range f.models {
		id.Command = id.Command || c.commands && len(c.identity) > 0
		id.Long = id.Long || c.long()
		for _, i := range c.identity {
			if i.by != "" && !slices.Contains(by, i.by) {
				by = append(by, i.by)
			}
		}
	}
	if len(by) == 0 {
		return nil
	}
	id.By = strings.Join(by, "; ")
	return &id
}

// probe asks what is at the address, in the way of each model that has one.
func (f *family) probe(ctx context.Context, e sensors.Env) (sensors.Found, error) {
	var first error
	for i := range f.models {
		c := &f.models[i]
		if len(c.identity) == 0 || !slices.Contains(f.addressesOf(c), e.Options().Address("addr").String()) {
			continue
		}
		s := newEngine(e, f, c)
		s.others = "" // who asks knows that something answers here
		err := s.probe(ctx)
		if err == nil {
			found := sensors.Found{Family: f.name, Model: s.part, Serial: s.serial}
			if s.part == c.part && f.ambiguous(c) {
				found.Model = ""
			}
			return found, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return sensors.Found{}, first
}

// ambiguous tells whether another model of the family is known by the same.
func (f *family) ambiguous(c *chip) bool {
	for i := range f.models {
		o := &f.models[i]
		same := slices.EqualFunc(c.identity, o.identity, func(a, b identity) bool { return a.by == b.by })
		if o != c && same && slices.ContainsFunc(f.addressesOf(c), func(addr string) bool { return slices.Contains(f.addressesOf(o), addr) }) {
			return true
		}
	}
	return false
}

// probe wakes the chip where that is needed, identifies it, and leaves it as
// it was.
func (s *engine) probe(ctx context.Context) error {
	if s.chip.startup > 0 {
		if err := s.env.Sleep(ctx, s.chip.startup); err != nil {
			return err
		}
	}
	if s.chip.long() {
		if err := s.silent(ctx); err != nil {
			return err
		}
	}
	if err := s.run(ctx, &s.wake); err != nil {
		return err
	}
	err := s.identify(ctx, true)
	if len(s.wake.ops) > 0 {
		s.lieDown()
	}
	return err
}

// long tells whether the chip is known by commands of two bytes.
func (c *chip) long() bool {
	return c.commands && slices.ContainsFunc(c.identity, func(id identity) bool { return !id.elective && len(id.write) > 1 })
}

// silent makes sure that nothing answers to a read: a chip of registers does,
// and would take a command of two bytes for a register and its new content.
func (s *engine) silent(ctx context.Context) error {
	err := s.tx(ctx, nil, s.in[:1])
	switch {
	case err == nil:
		return sensors.Errorf(sensors.Identity, "it answers to a read, as no idle %s does", s.parts())
	case sensors.ReasonOf(err) != sensors.NoAnswer:
		return err
	}
	return nil
}
