package chips

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
)

// steps reads the steps of a phase.
func (d *describer) steps(to *[]step) reader {
	return func(n *document.Node) {
		phase := d.key
		d.list(func(n *document.Node, i int) {
			st := step{}
			subject := stepSubject(phase, i)
			d.places[subject] = d.At(n)
			d.mapping(n, subject, d.stepKeys(&st))
			*to = append(*to, st)
		})(n)
	}
}

// stepKeys are the keys of a step.
func (d *describer) stepKeys(st *step) map[string]reader {
	return map[string]reader{
		"write": d.bytes(&st.write), "set": d.bytes(&st.set), "back": d.bytes(&st.back), "mask": d.mask(&st.mask), "from": d.bytes(&st.from), "merge": d.yes(&st.merge),
		"with": d.names(&st.with), "absent": d.yes(&st.absent), "wait": d.duration(&st.wait), "times": d.names(&st.times), "during": d.names(&st.during), "unseen": d.names(&st.unseen),
		"result": d.count(&st.result), "status": d.count(&st.status), "plain": d.yes(&st.plain), "patience": d.duration(&st.patience),
		"begun": d.yes(&st.begun), "once": d.text(&st.once),
		"until": func(n *document.Node) {
			st.until = &until{}
			d.mapping(n, d.subject+", until", map[string]reader{"mask": d.mask(&st.until.mask), "is": d.bits(&st.until.is), "not": d.yes(&st.until.not),
				"within": d.duration(&st.until.within), "every": d.duration(&st.until.every)}, "mask", "is", "within", "every")
		},
		"must": d.list(func(n *document.Node, i int) {
			t := test{}
			reason := ""
			d.mapping(n, fmt.Sprintf("%s, must %d", d.subject, i+1), map[string]reader{"mask": d.mask(&t.mask), "is": d.bits(&t.is), "not": d.yes(&t.not), "reason": d.text(&reason), "says": d.text(&t.says)}, "is", "says")
			t.reason = d.reason(n, reason)
			st.must = append(st.must, t)
		}),
	}
}

// failures are the reasons that a description may give.
var failures = []sensors.Reason{sensors.NotReady, sensors.OutOfRange, sensors.Busy, sensors.Checksum, sensors.Identity}

// reason reads one of the reasons; empty: none is given.
func (d *describer) reason(n *document.Node, text string) sensors.Reason {
	if text != "" && !slices.Contains(failures, sensors.Reason(text)) {
		var known []string
		for _, r := range failures {
			known = append(known, string(r))
		}
		d.Complain(d.At(n), d.subject, "reason", "%q is not one of %s%s", text, strings.Join(known, ", "), sensors.DidYouMean(text, known))
	}
	return sensors.Reason(text)
}

func (d *describer) identity(n *document.Node, i int) {
	id := identity{}
	keys := d.stepKeys(&id.step)
	for _, key := range []string{"set", "back", "from", "merge", "with", "times", "during", "unseen", "result", "once", "begun"} {
		delete(keys, key) // nothing is set here
	}
	maps.Copy(keys, map[string]reader{
		"mask": d.mask(&id.mask), "serial": d.yes(&id.serial), "probe": d.yes(&id.probe), "unnumbered": d.yes(&id.unnumbered), "elective": d.yes(&id.elective), "by": d.text(&id.by),
		"is": func(n *document.Node) {
			for _, text := range d.words(n) {
				v, negative, ok := d.integer(n, text)
				if ok && negative {
					d.complain(n, "%q is negative", text)
				}
				id.is = append(id.is, part{value: v})
			}
		},
		"looks": func(n *document.Node) {
			id.looks = map[uint64]string{}
			d.Each(n, d.subject, "looks", func(k, v *document.Node) {
				if content, negative, ok := d.integer(k, k.Value); ok && !negative {
					id.looks[content], _ = d.scalar(v)
				}
			})
		},
	})
	subject := d.item("identity", i, n)
	d.mapping(n, subject, keys, "status")
	room := allBits(id.status)
	for _, p := range id.is {
		if p.value&^room != 0 || id.mask != 0 && p.value&^id.mask != 0 {
			d.Complain(d.At(n), subject, "is", "0x%x has bits that aren't read, or that mask leaves out", p.value)
		}
	}
	if id.mask&^room != 0 {
		d.Complain(d.At(n), subject, "mask", "has bits that aren't read")
	}
	if id.by == "" && len(id.write) > 0 && len(id.is) > 0 {
		id.by = fmt.Sprintf("0x%x reads 0x%0*x", id.write, 2*id.status, id.is[0].value)
	}
	d.chip.identity = append(d.chip.identity, id)
}

// A fieldText is what a field's keys say of amounts, which depends on its
// quantity.
type fieldText struct{ scale, offset, limits, clamp, agree *document.Node }

func (d *describer) field(n *document.Node, i int) {
	f := field{scale: 1}
	quantity, subject := "", d.item("field", i, n)
	var t fieldText
	keep := func(to **document.Node) reader { return func(n *document.Node) { *to = n } }
	d.mapping(n, subject, map[string]reader{
		"quantity": d.text(&quantity), "label": d.name(&f.label), "at": d.index(&f.at), "type": d.text(&f.kind), "by": d.names(&f.by), "per": d.text(&f.per),
		"scale": keep(&t.scale), "offset": keep(&t.offset), "range": keep(&t.limits), "clamp": keep(&t.clamp), "agree": keep(&t.agree),
		"not-ready": func(n *document.Node) {
			for _, text := range d.words(n) {
				f.notReady = append(f.notReady, d.signed(n, text))
			}
		},
		"saturated": func(n *document.Node) {
			words := d.words(n)
			if len(words) != 2 {
				d.complain(n, "is written [LOW, HIGH]: at or beyond them the value isn't known")
				return
			}
			if f.low, f.high = d.signed(n, words[0]), d.signed(n, words[1]); f.low >= f.high {
				d.complain(n, "%s is not below %s", words[0], words[1])
			}
		},
		"says": d.text(&f.says),
	}, "quantity", "type", "range")
	if d.quantity(n, subject, quantity, &f) {
		d.amounts(n, subject, &f, t)
		d.chip.fields = append(d.chip.fields, f)
	}
}

// quantity finds the field's quantity.
func (d *describer) quantity(n *document.Node, subject, name string, f *field) bool {
	q, ok := sensors.QuantityByName(name)
	complain := func(key, format string, args ...any) { d.Complain(d.At(n), subject, key, format, args...) }
	switch {
	case name == "":
		return false
	case !ok:
		complain("quantity", "there is no quantity %q%s: `dormouse drivers` and docs/metrics.md have them", name, sensors.DidYouMean(name, sensors.QuantityNames()))
		return false
	case q.Kind != sensors.Gauge || len(q.Labels) > 0:
		complain("quantity", "%s is a counter or has labels of its own, which a description can't give", name)
		return false
	case f.label != "" && len(d.chip.channels) > 0:
		complain("label", "is the channel's name where there are channels")
	case f.label != "":
		d.free(subject, "label", f.label)
	}
	if f.label != "" || len(d.chip.channels) > 0 {
		q = q.With("channel")
	}
	if slices.ContainsFunc(d.chip.fields, func(o field) bool { return o.quantity.Name == q.Name && o.label == f.label }) {
		complain("label", "there are two of %s: give each a label", name)
	}
	f.quantity = q
	return true
}

var dividedAmount = regexp.MustCompile(`^\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*/\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(.*)$`)

// difference reads a scale: a number or a fraction, with a unit or in the base
// unit.
func difference(q *sensors.Quantity, text string) (float64, error) {
	m := dividedAmount.FindStringSubmatch(text)
	if m == nil {
		return q.BaseUnit().ParseDifference(text)
	}
	a, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, err
	}
	b, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return 0, err
	}
	unit, err := q.BaseUnit().ParseDifference("1" + m[3])
	return a / b * unit, err
}

// amounts reads what a field's keys say in the quantity's unit.
func (d *describer) amounts(n *document.Node, subject string, f *field, t fieldText) {
	q := f.quantity
	d.subject = subject
	defer func() { d.subject, d.key = "", "" }()
	read := func(n *document.Node, key string, to *float64, parse func(string) (float64, error)) {
		if n == nil {
			return
		}
		d.key = key
		if text, ok := d.scalar(n); ok {
			v, err := parse(text)
			if err == nil && !finite(v) {
				err = fmt.Errorf("%q is not a number", text)
			}
			if err != nil {
				d.complain(n, "%w", err)
				return
			}
			*to = v
		}
	}
	read(t.scale, "scale", &f.scale, func(text string) (float64, error) { return difference(q, text) })
	read(t.offset, "offset", &f.offset, q.BaseUnit().Parse)
	read(t.agree, "agree", &f.agree, q.BaseUnit().ParseDifference)
	if f.scale == 0 || f.agree < 0 {
		d.Complain(d.At(n), subject, "scale", "must not be 0, and agree not negative")
	}
	if t.scale != nil && t.offset == nil && t.scale.Kind == document.Scalar {
		if zero, err := q.BaseUnit().Parse("0" + strings.TrimLeft(t.scale.Value, "-+0123456789./eE ")); err == nil && zero != 0 {
			d.Complain(d.At(t.scale), subject, "offset", "is missing: 0 of the scale's unit isn't 0 of the quantity's, so say where the scale begins")
		}
	}
	if t.clamp != nil {
		d.key = "clamp"
		f.clamp = d.interval(t.clamp, q.BaseUnit().Parse)
	}
	if t.limits == nil {
		return
	}
	d.key = "range"
	r := d.interval(t.limits, q.BaseUnit().Parse)
	if r == nil {
		return
	}
	given := r
	if f.clamp != nil {
		given = f.clamp // what is reported
	}
	if q.Range != nil && (given.Min < q.Range.Min || given.Max > q.Range.Max) {
		d.complain(t.limits, "is beyond what %s can be, %s to %s: give clamp, too, where the chip's goes beyond", q.Name, q.Format(q.Range.Min), q.Format(q.Range.Max))
	}
	f.quantity = q.Within(r.Min, r.Max)
}

func finite(v float64) bool { return v-v == 0 }
