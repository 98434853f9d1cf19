package chips

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
)

// A description is believed where its examples would notice a mistake: each
// field is changed in all the ways in which it could be wrong, and where that
// changes any value, one example at least must not come out any more.

// coverSteps asks for examples that tell what is written: one at least, and one
// for each value and channel that is written or waited for.
func (d *describer) coverSteps(root *document.Node, tries []*try) {
	c := d.chip
	told := func(as func(t *try) bool) bool {
		return slices.ContainsFunc(tries, func(t *try) bool { return t.bus != nil && as(t) })
	}
	if !told(func(*try) bool { return true }) {
		d.Complain(d.At(root), "examples", "bus", "is in none of them: one at least tells all that is written, and how long is waited, from the data sheet and not from the steps")
		return
	}
	var used []string
	for _, ph := range c.phases() {
		for _, st := range ph.steps {
			used = slices.Concat(used, st.with, st.times, st.during)
		}
	}
	for i := range c.settings {
		st := &c.settings[i]
		for j, v := range st.values {
			if slices.Contains(used, st.name) && !told(func(t *try) bool { return t.chosen(st.name) == j }) {
				d.Complain(d.places[fmt.Sprintf("setting %d", i+1)], fmt.Sprintf("setting %d", i+1), "values", "no example with bus has %s=%s", st.name, v.name)
			}
		}
	}
	for _, ch := range c.channels {
		if slices.Contains(used, "channel") && !told(func(t *try) bool { return t.channel == ch.name }) {
			d.Complain(d.At(root), "channels", ch.name, "no example with bus has this channel")
		}
	}
	for _, o := range d.family.options {
		if !slices.ContainsFunc(tries, func(t *try) bool { _, given := t.set[o.Name]; return !given && t.fails == "" }) {
			d.Complain(d.At(root), "numbers", o.Name, "no example leaves it at its default")
		}
	}
}

// chosen is the value of a setting in the example, by number.
func (t *try) chosen(setting string) int { return t.input.ranges[0].chosen[setting] }

// A mistake is a way in which a field could be wrong.
type mistake struct {
	key   string // of the field
	what  string // in words, with what to do
	wrong func(p *program, f *fieldOp)
}

// coverField asks for examples that show each mistake in a field that changes a
// value.
func (d *describer) coverField(i int, tries []*try) {
	subject := fmt.Sprintf("field %d", i+1)
	for _, m := range mistakes(d.chip, &tries[0].input.ranges[0].fields[i], sizeOf(d.chip.measure)) {
		shown := slices.ContainsFunc(tries, func(t *try) bool {
			p := t.input.ranges[0]
			p.fields = slices.Clone(p.fields)
			m.wrong(&p, &p.fields[i])
			return t.hold(&p) != nil
		})
		if shown {
			continue
		}
		for _, t := range tries {
			p := t.input.ranges[0]
			right, wrong := p.fields[i], p.fields[i]
			m.wrong(&p, &wrong)
			if frame := differ(&right, &wrong, sizeOf(d.chip.measure)); frame != nil {
				d.Complain(d.places[subject], subject, m.key, "no example shows %s, such as one whose results are % x (checksums not counted); where that is no plausible value it has fails: range", m.what, frame)
				break
			}
		}
	}
}

// mistakes are the ways in which a field could be wrong.
func mistakes(c *chip, f *fieldOp, size int) []mistake {
	var list []mistake
	add := func(key, what string, wrong func(p *program, f *fieldOp)) {
		list = append(list, mistake{key, what, wrong})
	}
	for _, k := range f.kind.others() {
		add("type", fmt.Sprintf("that the type is %s and not %s: add one", f.field.kind, k), func(_ *program, f *fieldOp) {
			if f.at+k.bytes <= size {
				f.kind = k
			}
		})
	}
	for at := range size - f.kind.bytes + 1 {
		if at != f.at {
			add("at", fmt.Sprintf("that at is %d and not %d: add one whose bytes differ", f.at, at), func(_ *program, f *fieldOp) { f.at = at })
		}
	}
	add("offset", "the offset: add one with values", func(_ *program, f *fieldOp) { f.change().offset += 5 * exampleStep * math.Abs(f.scale) })
	add("scale", "the scale well: add one with a large value, a fifth of the largest at least", func(_ *program, f *fieldOp) { f.scale *= 1 + f.little() })
	for _, name := range f.by {
		for i := range c.settings {
			for j, v := range c.settings[i].values {
				if c.settings[i].name == name {
					add("by", fmt.Sprintf("the scale of %s=%s: add one with it and a large value", name, v.name), func(p *program, f *fieldOp) {
						if p.chosen[name] == j {
							f.scale *= 1 + f.little()
						}
					})
				}
			}
		}
	}
	if f.low < f.high {
		add("saturated", fmt.Sprintf("that %d is saturated: add one that fails with the reason range", f.low), func(_ *program, f *fieldOp) { f.change().low-- })
		add("saturated", fmt.Sprintf("that %d is saturated: add one that fails with the reason range", f.high), func(_ *program, f *fieldOp) { f.change().high++ })
	}
	for i, v := range f.notReady {
		add("not-ready", fmt.Sprintf("that %d is no value: add one that fails with the reason not_ready", v), func(_ *program, f *fieldOp) {
			changed := f.change()
			changed.notReady = slices.Delete(slices.Clone(changed.notReady), i, i+1)
		})
	}
	if f.clamp != nil {
		add("clamp", "the lower end: add one whose value is cut there", func(_ *program, f *fieldOp) { f.cut().Min -= 5 * exampleStep * math.Abs(f.scale) })
		add("clamp", "the upper end: add one whose value is cut there", func(_ *program, f *fieldOp) { f.cut().Max += 5 * exampleStep * math.Abs(f.scale) })
	}
	return list
}

// change makes the field one of its own, to be changed.
func (f *fieldOp) change() *field {
	own := *f.field
	f.field = &own
	return f.field
}

// cut makes the clamp one of its own.
func (f *fieldOp) cut() *sensors.Range {
	own := *f.clamp
	f.change().clamp = &own
	return f.clamp
}

// most is the largest number that the field can have and be plausible.
func (f *fieldOp) most() float64 {
	r := f.quantity.Range
	most := max(math.Abs(r.Min-f.offset), math.Abs(r.Max-f.offset)) / math.Abs(f.scale)
	if !f.kind.float {
		most = min(most, math.Ldexp(1, int(f.kind.bits)))
	}
	return max(1, most)
}

// little is a relative change of the scale that shows in an example whose number
// is a fifth of the largest or more.
func (f *fieldOp) little() float64 {
	if f.kind.float {
		return 1e-5
	}
	return 5 * exampleStep / f.most()
}

// others are the types that could be meant instead.
func (k kind) others() []kind {
	if k.float {
		return []kind{{bits: 32, bytes: 4}, {bits: 32, bytes: 4, signed: true}}
	}
	var list []kind
	add := func(change func(k *kind)) {
		o := k
		change(&o)
		if o.bits >= 1 && o.bytes >= 1 && o.bytes <= 8 && o.bits+o.shift <= uint(8*o.bytes) && o != k {
			list = append(list, o)
		}
	}
	add(func(k *kind) { k.signed = !k.signed })
	add(func(k *kind) { k.little = !k.little && k.bytes > 1 })
	for _, by := range []uint{1, 8} {
		add(func(k *kind) { k.bits += by })
		add(func(k *kind) { k.bits -= min(by, k.bits) })
		add(func(k *kind) { k.shift += by })
		add(func(k *kind) { k.shift -= min(by, k.shift) })
	}
	add(func(k *kind) { k.bytes++ })
	add(func(k *kind) { k.bytes-- })
	return list
}

// String is the type as parseKind takes it.
func (k kind) String() string {
	if k.float {
		return "be:f32"
	}
	end, sign := "be", "u"
	if k.little {
		end = "le"
	}
	if k.signed {
		sign = "s"
	}
	return fmt.Sprintf("%s:%s%d/%d>>%d", end, sign, k.bits, 8*k.bytes, k.shift)
}

// put is integer backwards: it writes the number into p, and leaves other bits.
func (k kind) put(p []byte, v int64) {
	mask := (^uint64(0) >> (64 - k.bits)) << k.shift
	for i := range k.bytes {
		at := k.bytes - 1 - i
		if k.little {
			at = i
		}
		p[at] = p[at]&^byte(mask>>(8*i)) | byte((uint64(v)<<k.shift&mask)>>(8*i))
	}
}

// mostFrames are tried to find one that two fields read differently.
const mostFrames = 300

// differ is a frame of which one gives a value that the other doesn't; nil: none
// was found.
func differ(right, wrong *fieldOp, size int) hex {
	random := rand.New(rand.NewPCG(1, uint64(size)))
	numbers := []int64{right.low, right.high, 0, -1, 1, int64(right.most()), -int64(right.most())}
	numbers = append(numbers, right.notReady...)
	if right.clamp != nil {
		for _, end := range []float64{right.clamp.Min, right.clamp.Max} {
			raw := int64((end - right.offset) / right.scale)
			numbers = append(numbers, raw-1, raw, raw+1)
		}
	}
	for i := range mostFrames {
		frame := make(hex, size)
		for j := range frame {
			frame[j] = byte(random.Uint32())
		}
		if i < len(numbers) && !right.kind.float {
			right.kind.put(frame[right.at:], numbers[i])
		}
		v, ok := right.value(frame)
		w, got := wrong.value(frame)
		if ok != got || ok && math.Abs(v-w) > 2*right.tolerance(v) {
			return frame
		}
	}
	return nil
}

// value is what a field alone gives of a frame.
func (f *fieldOp) value(frame hex) (float64, bool) {
	v, err := f.scaled(frame)
	if err == nil {
		v, err = f.final(nil, v)
	}
	return v, err == nil
}
