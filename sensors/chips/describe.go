package chips

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
	"example.org/dormouse/sensors/units"
)

// DescribedDriver is the name of the drivers that Describe makes.
const DescribedDriver = "i2c"

// DescriptionOption names the file of a description.
var DescriptionOption = sensors.Option{Name: "description", Required: true, Help: "absolute path of the file that describes the chip: /etc/dormouse/chips/NAME.yml"}

// A describer reads a description.
type describer struct {
	*document.File
	family   *family
	chip     *chip
	examples []example

	subject string // of the mapping that is read
	key     string // in it
	places  map[string]document.Origin
}

// Describe is the driver of a chip that a user describes: the table of table.go,
// with the same names, in the file's tree, checked and run as the tables in Go
// are. text is the file's content, by which two descriptions are told apart. Its
// error is of the type document.Problems, and has what file had already.
func Describe(file *document.File, root *document.Node, text string) (*sensors.Driver, error) {
	d := &describer{File: file, family: &family{models: []chip{{}}}, places: map[string]document.Origin{}}
	d.chip = &d.family.models[0]
	d.top(root)
	d.check(root)
	if len(d.Problems) == 0 {
		d.tryExamples(root)
	}
	if len(d.Problems) > 0 {
		d.Problems.Sort(file.Name)
		return nil, d.Problems
	}
	return d.family.described(text), nil
}

// described is the driver of a description.
func (f *family) described(text string) *sensors.Driver {
	d := f.driver()
	d.Name, d.Description = DescribedDriver, text
	d.Options = append([]sensors.Option{DescriptionOption}, d.Options...)
	return d
}

func (d *describer) top(root *document.Node) {
	f, c := d.family, d.chip
	later := map[string]*document.Node{} // what looks at the rest
	keep := func(n *document.Node) { later[d.key] = n }
	d.mapping(root, "", map[string]reader{
		"name": d.name(&f.name), "summary": d.text(&f.summary), "datasheet": d.text(&f.datasheet),
		"wiring": d.text(&f.wiring), "timing": d.text(&f.timing), "kernel": d.text(&f.kernel), "unverifiable": d.text(&f.unverifiable),
		"addresses": d.addresses, "startup": d.duration(&c.startup), "commands": d.yes(&c.commands), "sum": d.sum,
		"settings": d.list(d.setting), "numbers": d.list(d.option), "channels": d.list(d.channel),
		"identity": d.list(d.identity), "release": d.steps(&c.release), "wake": d.steps(&c.wake), "prepare": d.steps(&c.prepare),
		"measure": d.steps(&c.measure), "sleep": d.steps(&c.sleep),
		"fields": keep, "examples": keep,
	}, "name", "summary", "datasheet", "addresses", "measure", "fields", "examples")
	c.part = f.name
	for _, list := range []struct {
		key  string
		item func(*document.Node, int)
	}{{"fields", d.field}, {"examples", d.example}} {
		if n := later[list.key]; n != nil {
			d.key = list.key
			d.list(list.item)(n)
		}
	}
	d.key = ""
}

func (d *describer) addresses(n *document.Node) {
	for _, text := range d.words(n) {
		a, err := sensors.Option{Type: sensors.I2CAddrOption}.Parse(text)
		if err != nil {
			d.complain(n, "%w", err)
			continue
		}
		if a := a.(sensors.Address).String(); slices.Contains(d.family.addresses, a) {
			d.complain(n, "%s is there twice", a)
		} else {
			d.family.addresses = append(d.family.addresses, a)
		}
	}
}

func (d *describer) sum(n *document.Node) {
	var poly, init uint64
	s := &checksum{}
	d.mapping(n, "sum", map[string]reader{"poly": d.bits(&poly), "init": d.bits(&init), "every": d.count(&s.every), "smbus": d.yes(&s.smbus)}, "poly", "init", "every")
	if poly == 0 || poly > math.MaxUint8 || init > math.MaxUint8 {
		d.Complain(d.At(n), "sum", "", "is of 8 bits: poly is 1 to 0xff without x^8, as 0x31, and init 0 to 0xff")
	}
	s.poly, s.init = byte(poly), byte(init)
	if s.every >= 1 {
		d.chip.sum = s
	}
}

func (d *describer) setting(n *document.Node, i int) {
	st := setting{}
	var range_ *auto
	subject := d.item("setting", i, n)
	d.mapping(n, subject, map[string]reader{
		"name": d.name(&st.name), "help": d.text(&st.help), "default": d.text(&st.unset), "channel": d.yes(&st.channel),
		"values": d.list(func(n *document.Node, j int) {
			v := value{}
			d.mapping(n, fmt.Sprintf("setting %d, value %d", i+1, j+1), map[string]reader{
				"name": d.text(&v.name), "bits": d.bits(&v.bits), "time": d.duration(&v.time), "scale": d.plain(&v.scale), "advice": d.text(&v.advice),
			}, "name")
			if slices.ContainsFunc(st.values, func(w value) bool { return w.name == v.name }) || v.name == automatic {
				d.complain(n, "there are two values %s", v.name)
			}
			st.values = append(st.values, v)
		}),
		"auto": func(n *document.Node) {
			range_ = &auto{}
			d.mapping(n, fmt.Sprintf("setting %d, auto", i+1), map[string]reader{"at": d.index(&range_.at), "type": d.text(&range_.kind), "low": d.number(&range_.low), "high": d.number(&range_.high)}, "type", "low", "high")
		},
	}, "name", "help", "default", "values")
	if st.auto = range_; st.auto != nil && d.chip.auto() != nil {
		d.Complain(d.At(n), d.subject, "auto", "is of another setting already")
	}
	d.free(subject, "name", st.name)
	d.chip.settings = append(d.chip.settings, st)
}

// option is a number that fields are divided by.
func (d *describer) option(n *document.Node, i int) {
	o := sensors.Option{Type: sensors.NumberOption, Unit: units.None}
	var limits, quantity *document.Node
	keep := func(to **document.Node) reader { return func(n *document.Node) { *to = n } }
	subject := d.item("number", i, n)
	d.mapping(n, subject, map[string]reader{
		"name": d.name(&o.Name), "help": d.text(&o.Help), "default": d.text(&o.Default), "channel": d.yes(&o.Channel), "quantity": keep(&quantity), "range": keep(&limits),
	}, "name", "help", "default", "range")
	d.subject = subject
	defer func() { d.subject, d.key = "", "" }()
	if quantity != nil {
		d.key = "quantity"
		name, _ := d.scalar(quantity)
		q, ok := sensors.QuantityByName(name)
		if !ok {
			d.complain(quantity, "there is no quantity %q%s", name, sensors.DidYouMean(name, sensors.QuantityNames()))
			return
		}
		o.Unit = q.BaseUnit()
	}
	if d.key = "range"; limits != nil {
		o.Range = d.interval(limits, o.Unit.Parse)
	}
	if o.Range != nil && o.Range.Min <= 0 && o.Range.Max >= 0 {
		d.complain(n, "must leave out 0: fields are divided by it")
	}
	d.free(subject, "name", o.Name)
	d.family.options = append(d.family.options, o)
}

func (d *describer) channel(n *document.Node, i int) {
	c := channel{}
	subject := d.item("channel", i, n)
	d.mapping(n, subject, map[string]reader{"name": d.name(&c.name), "bits": d.bits(&c.bits), "extra": d.yes(&c.extra)}, "name")
	d.free(subject, "name", c.name)
	d.chip.channels = append(d.chip.channels, c)
}

// check holds the table to the rules of those in Go, each mistake at its place.
// What was read with a mistake, or depends on what was, isn't looked at.
func (d *describer) check(root *document.Node) {
	f, c := d.family, d.chip
	read := slices.Clone(d.Problems)
	sound := func(subjects ...string) bool {
		return !slices.ContainsFunc(read, func(p *document.Problem) bool {
			return slices.ContainsFunc(subjects, func(s string) bool {
				return strings.HasPrefix(p.Subject, s) || p.Subject == "" && strings.TrimSuffix(p.Key, "s") == s
			})
		})
	}
	refuse := func(subject string, err error) {
		if err != nil {
			var w wrongKey
			if errors.As(err, &w) {
				err = w.error
			}
			at, ok := d.places[place(subject, w.key)]
			if !ok {
				at, ok = d.places[subject]
			}
			if !ok {
				at = d.At(root)
			}
			d.Complain(at, subject, w.key, "%w", err)
		}
	}
	size := math.MaxInt
	if sound("measure") {
		size = sizeOf(c.measure)
	}
	for i := range c.settings {
		if subject := fmt.Sprintf("setting %d", i+1); sound(subject) {
			refuse(subject, c.settings[i].check(size))
		}
	}
	if !sound("setting", "channel", "number", "sum") {
		return
	}
	for i := range c.identity {
		if subject := fmt.Sprintf("identity %d", i+1); sound(subject) {
			refuse(subject, c.identity[i].check(c))
		}
	}
	for _, ph := range c.phases() {
		for i := range ph.steps {
			if subject := stepSubject(ph.name, i); sound(subject) {
				refuse(subject, ph.check(i, c))
			}
		}
	}
	for i := range c.fields {
		if subject := fmt.Sprintf("field %d", i+1); sound("field", "measure") {
			refuse(subject, c.fields[i].check(c, f, size))
		}
	}
	if len(d.Problems) > 0 {
		return
	}
	if err := f.check(); err != nil {
		refuse("", err)
		return
	}
	refuse("", f.described("").Validate())
}
