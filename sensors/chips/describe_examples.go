package chips

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// An example is one measurement as the data sheet has it: what is written, what
// the results read, and what values that is.
type example struct {
	subject string
	at      document.Origin
	channel string
	set     map[string]string
	read    hex // the results, one after another, with their checksums
	values  map[string]string
	fails   sensors.Reason // instead of values

	bus []busStep // what all steps write and wait, in order; nil: not told
}

func (d *describer) example(n *document.Node, i int) {
	ex := example{subject: d.item("example", i, n), at: d.At(n)}
	fails := ""
	d.mapping(n, ex.subject, map[string]reader{
		"channel": d.text(&ex.channel), "set": d.table(&ex.set), "read": d.bytes(&ex.read), "values": d.table(&ex.values), "fails": d.text(&fails),
		"bus": d.list(func(n *document.Node, _ int) {
			b := busStep{}
			if n.Kind == document.Scalar && strings.HasSuffix(n.Value, "s") { // 300ms, 1s
				d.duration(&b.wait)(n)
			} else {
				d.bytes(&b.write)(n)
			}
			ex.bus = append(ex.bus, b)
		}),
	}, "read")
	ex.fails = d.reason(n, fails)
	if (len(ex.values) > 0) == (fails != "") {
		d.Complain(d.At(n), ex.subject, "values", "an example has either values or, in fails, the reason for which there are none")
	}
	d.examples = append(d.examples, ex)
}

// table reads names and texts.
func (d *describer) table(to *map[string]string) reader {
	return func(n *document.Node) {
		*to = map[string]string{}
		d.Each(n, d.subject, "it", func(k, v *document.Node) {
			if !d.Unsupported(v, d.subject, k.Value) {
				(*to)[k.Value], _ = d.scalar(v)
			}
		})
	}
}

// tryExamples refuses a description whose examples don't come out, or don't show
// enough.
func (d *describer) tryExamples(root *document.Node) {
	tries := make([]*try, len(d.examples))
	for i := range d.examples {
		ex := &d.examples[i]
		refuse := func(err error) {
			if err != nil {
				d.Complain(ex.at, ex.subject, "", "%w", err)
			}
		}
		t, err := d.family.try(ex)
		if err != nil {
			refuse(err)
			continue
		}
		if ex.bus != nil {
			refuse(t.holdBus())
		}
		refuse(t.hold(&t.input.ranges[0]))
		tries[i] = t
	}
	if len(d.Problems) > 0 {
		return
	}
	d.coverSteps(root, tries)
	for i := range d.chip.fields {
		d.coverField(i, tries)
	}
}

// exampleEnv is the world of an example: a bus on which its bytes are read.
type exampleEnv struct {
	sensors.Env // nothing else is used
	options     *sensors.Options
}

func (e *exampleEnv) Options() *sensors.Options { return e.options }
func (e *exampleEnv) Log() *slog.Logger         { return silent }
func (e *exampleEnv) I2C() *i2c.Dev {
	return &i2c.Dev{Bus: &exampleBus{}, Addr: uint16(e.options.Address("addr"))}
}

var silent = slog.New(slog.DiscardHandler)

// exampleBus reads the example's bytes one after another.
type exampleBus struct{ left hex }

func (b *exampleBus) String() string                  { return "example" }
func (b *exampleBus) SetSpeed(physic.Frequency) error { return nil }

func (b *exampleBus) Tx(_ uint16, _, r []byte) error {
	if len(r) > len(b.left) {
		return errExampleShort
	}
	b.left = b.left[copy(r, b.left):]
	return nil
}

var errExampleShort = errors.New("read has fewer bytes than the results")

// A try is an example with the engine that runs it.
type try struct {
	*example
	engine *engine
	input  *input
}

// try makes the engine in the world of an example.
func (f *family) try(ex *example) (*try, error) {
	d := f.described("")
	texts := map[string]string{DescriptionOption.Name: "/"}
	maps.Copy(texts, ex.set)
	var channels []string
	if ex.channel != "" {
		channels = []string{ex.channel}
	}
	o, err := sensors.NewOptions(d, texts, channels...)
	if err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	s := newEngine(&exampleEnv{options: o}, f, &f.models[0])
	at := slices.IndexFunc(s.inputs, func(in input) bool { return in.name == ex.channel })
	switch {
	case at < 0:
		return nil, fmt.Errorf("channel: give one of %s", strings.Join(d.Channels, ", "))
	case len(s.inputs[at].ranges) > 1:
		return nil, errors.New("set: give the value of the automatic setting")
	}
	return &try{ex, s, &s.inputs[at]}, nil
}

// hold tells whether the example comes out with a program.
func (t *try) hold(p *program) error {
	t.engine.dev.Bus = &exampleBus{t.read}
	values := make([]float64, len(p.fields))
	err := t.engine.decodeExample(p, values)
	switch {
	case errors.Is(err, errExampleShort) || errors.Is(err, errExampleLong):
		return err
	case err != nil && (t.fails == "" || sensors.ReasonOf(err) != t.fails):
		return fmt.Errorf("fails (%s): %w", sensors.ReasonOf(err), err)
	case err != nil:
		return nil
	case t.fails != "":
		return fmt.Errorf("should fail (%s), and gives %s", t.fails, p.show(values))
	}
	return p.compare(t.example, values)
}

var errExampleLong = errors.New("read has more bytes than the results, checksums included")

// decodeExample reads the results from the example's bytes.
func (s *engine) decodeExample(p *program, values []float64) error {
	s.frame.data, s.frame.chosen = s.frame.data[:0], p.chosen
	for i := range p.measure.ops {
		o := &p.measure.ops[i]
		if o.result == 0 {
			continue
		}
		data, err := s.receive(context.Background(), o)
		if err != nil {
			return err
		}
		if o.until != nil && !o.until.met(data) {
			return sensors.Errorf(sensors.NotReady, "until isn't met by % x", data)
		}
		if err := o.check(&s.device, data); err != nil {
			return err
		}
		s.frame.data = append(s.frame.data, data...)
	}
	if bus, ok := s.dev.Bus.(*exampleBus); ok && len(bus.left) > 0 {
		return errExampleLong
	}
	s.failures = s.failures[:0]
	if err := s.decode(p, values); err != nil {
		return err
	}
	return s.channelErrors()
}

// name is what an example calls the field: its quantity, and its label.
func (f *field) name() string { return strings.TrimSpace(f.quantity.Name + " " + f.label) }

// steps of a value within which it is the same: a hundredth.
const exampleStep = 0.01

// tolerance is how far a value may be from the example's.
func (f *fieldOp) tolerance(v float64) float64 {
	if f.kind.float {
		return 1e-6 * math.Abs(f.scale) * max(1e-6, math.Abs(v/f.scale))
	}
	return max(exampleStep*math.Abs(f.scale), 1e-12*math.Abs(v))
}

// compare holds the values against the example's.
func (p *program) compare(ex *example, values []float64) error {
	for name := range ex.values {
		if !slices.ContainsFunc(p.fields, func(f fieldOp) bool { return f.name() == name }) {
			return fmt.Errorf("values: there is no field %q: it is called by its quantity, followed by a space and its label if it has one", name)
		}
	}
	for i := range p.fields {
		f := &p.fields[i]
		text, ok := ex.values[f.name()]
		if !ok {
			return fmt.Errorf("values: %s is missing", f.name())
		}
		want, err := f.quantity.BaseUnit().Parse(text)
		if err != nil {
			return fmt.Errorf("values: %s: %w", f.name(), err)
		}
		if got := values[i]; math.Abs(got-want) > f.tolerance(got) {
			return fmt.Errorf("values: %s should be %s, and the table gives %.10g in the base unit, %s (it must be right to a hundredth of the field's step, so write all its digits)", f.name(), text, got, f.quantity.Format(got))
		}
	}
	return nil
}

func (p *program) show(values []float64) string {
	var parts []string
	for i := range p.fields {
		parts = append(parts, fmt.Sprintf("%s of %s", p.fields[i].name(), p.fields[i].quantity.Format(values[i])))
	}
	return strings.Join(parts, ", ")
}
