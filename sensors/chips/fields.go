package chips

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
)

// A kind is where the bits of a number are and what they mean, as the kernel
// writes it in scan_elements (Documentation/ABI/testing/sysfs-bus-iio):
// "be:s12/16>>4" is a signed number of 12 bits in 16, shifted by 4, its most
// significant byte first.
type kind struct {
	little, signed, float bool
	bits, shift           uint
	bytes                 int
}

var kindPattern = regexp.MustCompile(`^(be|le):([su])(\d{1,2})/(\d{1,2})>>(\d{1,2})$`)

func parseKind(text string) (kind, error) {
	if text == "be:f32" {
		return kind{float: true, bytes: 4}, nil
	}
	m := kindPattern.FindStringSubmatch(text)
	if m == nil {
		return kind{}, fmt.Errorf("%q is not a type: write be:s12/16>>4, le:u16/16>>0 or be:f32", text)
	}
	var n [3]uint
	for i := range n {
		v, err := strconv.ParseUint(m[3+i], 10, 8)
		if err != nil {
			return kind{}, fmt.Errorf("%q: %w", text, err)
		}
		n[i] = uint(v)
	}
	bits, size, shift := n[0], n[1], n[2]
	if size == 0 || size > 64 || size%8 != 0 || bits == 0 || bits+shift > size {
		return kind{}, fmt.Errorf("%q is not a type: %d bits shifted by %d don't fit into %d, which must be a multiple of 8 up to 64", text, bits, shift, size)
	}
	if bits == 64 && m[2] == "u" {
		return kind{}, fmt.Errorf("%q is not a type: an unsigned number has 63 bits at most", text)
	}
	return kind{little: m[1] == "le", signed: m[2] == "s", bits: bits, shift: shift, bytes: int(size / 8)}, nil
}

// integer is the number at the beginning of p.
func (k kind) integer(p []byte) int64 {
	var v uint64
	for i := range k.bytes {
		b := p[i]
		if k.little {
			b = p[k.bytes-1-i]
		}
		v = v<<8 | uint64(b)
	}
	v >>= k.shift
	v &= ^uint64(0) >> (64 - k.bits)
	if k.signed {
		return int64(v<<(64-k.bits)) >> (64 - k.bits)
	}
	return int64(v)
}

// real is the IEEE 754 number of 32 bits at the beginning of p.
func real(p []byte) float64 {
	return float64(math.Float32frombits(binary.BigEndian.Uint32(p)))
}

// A fieldOp is a field with the settings put in.
type fieldOp struct {
	*field
	kind  kind
	at    int
	scale float64
	says  string
	// channel is the one it is of; empty: the chip's.
	channel string
	skip    bool // of a channel that isn't asked for
	// apart tells that the bytes of its channel are read by themselves.
	apart bool
}

func compileField(f *field, p *program, o *sensors.Options) fieldOp {
	op := fieldOp{field: f, at: f.at, scale: f.scale, says: f.says, channel: f.label}
	if p.channel != nil && op.channel == "" {
		op.channel = p.channel.name
	}
	if op.scale == 0 {
		op.scale = 1
	}
	if f.kind != "" {
		op.kind, _ = parseKind(f.kind) // the check of the family has seen to it
	}
	for _, name := range f.by {
		v := p.value(name)
		if v.scale != 0 {
			op.scale *= v.scale
		}
		if op.says != "" {
			op.says = strings.ReplaceAll(op.says, "{"+name+"}", v.name)
			if v.advice != "" {
				op.says += ": " + v.advice
			}
		}
	}
	if f.per != "" {
		per := o.Number(f.per)
		if own := f.label + "." + f.per; f.label != "" && o.Given(own) {
			per = o.Number(own)
		}
		op.scale /= per
	}
	return op
}

// saturated is a value that is beyond what its channel can tell: the others
// may stand.
type saturated struct{ error }

func (s saturated) Unwrap() error { return s.error }

// decode turns the checked frame into values: all are plausible, or none is
// believed, but for channels that have failed alone.
func (s *engine) decode(p *program, values []float64) error {
	f := &s.frame
	f.values = values
	for i := range p.fields {
		op := &p.fields[i]
		if op.field.kind == "" || op.skip {
			continue
		}
		v, err := op.scaled(f.data)
		if err = s.ofChannel(op, err); err != nil {
			return err
		}
		values[i] = v
	}
	if s.chip.decode != nil {
		if err := s.chip.decode(f); err != nil {
			return err
		}
	}
	for i := range p.fields {
		op := &p.fields[i]
		if op.skip || s.failed(op.channel) {
			continue
		}
		v, err := op.final(f, values[i])
		if err = s.ofChannel(op, err); err != nil {
			return err
		}
		values[i] = v
	}
	return nil
}

// ofChannel is the error of a field. Where it is that of its channel alone, that
// is noted and nil returned: what the chip flags as saturated, and what is
// implausible in bytes that were read for no other channel. In one frame with
// others it makes all of them doubtful.
func (s *engine) ofChannel(f *fieldOp, err error) error {
	switch {
	case err == nil || f.label == "":
		return err
	case errors.As(err, new(saturated)), f.apart && sensors.ReasonOf(err) == sensors.OutOfRange:
		s.fail(f.label, err)
		return nil
	}
	return fmt.Errorf("channel %s: %w", f.label, err)
}

// markApart finds the channels whose bytes are read by themselves.
func (p *program) markApart() {
	for i := range p.fields {
		f := &p.fields[i]
		f.apart = f.label != "" && !slices.ContainsFunc(p.fields, func(own fieldOp) bool {
			return own.label == f.label && slices.ContainsFunc(p.fields, func(o fieldOp) bool {
				return o.label != f.label && p.together(&own, &o)
			})
		})
	}
}

// together tells whether bytes of both fields are of one read.
func (p *program) together(a, b *fieldOp) bool {
	if a.field.kind == "" || b.field.kind == "" { // is computed from others
		return false
	}
	begin := 0
	for i := range p.measure.ops {
		end := begin + p.measure.ops[i].result
		if a.at < end && b.at < end && a.at+a.kind.bytes > begin && b.at+b.kind.bytes > begin {
			return true
		}
		begin = end
	}
	return false
}

// scaled is the field's number in the quantity's base unit.
func (f *fieldOp) scaled(data []byte) (float64, error) {
	v, err := f.raw(data)
	return v*f.scale + f.offset, err
}

// final is v corrected, if the chip can measure that, within the field's clamp.
func (f *fieldOp) final(frame *frame, v float64) (float64, error) {
	if f.correct != nil {
		var err error
		if v, err = f.correct(frame, v); err != nil {
			return 0, err
		}
	}
	if err := f.quantity.Check(v); err != nil {
		return 0, err
	}
	if f.clamp != nil {
		v = min(max(v, f.clamp.Min), f.clamp.Max)
	}
	return v, nil
}

// raw is the field's number, if it is one.
func (f *fieldOp) raw(data []byte) (float64, error) {
	if f.kind.float {
		return real(data[f.at:]), nil
	}
	v := f.kind.integer(data[f.at:])
	if slices.Contains(f.notReady, v) {
		return 0, sensors.Errorf(sensors.NotReady, "%s reads 0x%x, as before the first measurement: the chip was reset during the measurement: check its supply", f.quantity.Name, uint64(v)&(^uint64(0)>>(64-f.kind.bits)))
	}
	if f.low < f.high && (v <= f.low || v >= f.high) {
		return 0, saturated{sensors.Errorf(sensors.OutOfRange, "%s", f.says)}
	}
	return float64(v), nil
}

// agrees tells whether two measurements must agree.
func (c *chip) agrees() bool {
	return slices.ContainsFunc(c.fields, func(f field) bool { return f.agree > 0 })
}

// agree compares two measurements of a chip whose result can't be read twice.
func (s *engine) agree(p *program, first, second []float64) error {
	for i := range p.fields {
		f := &p.fields[i]
		if d := math.Abs(first[i] - second[i]); f.agree > 0 && d > f.agree && !s.failed(f.channel) {
			return sensors.Errorf(sensors.Checksum, "%s of %s and, measured again, of %s: the bus is disturbed, or another program uses the chip",
				f.quantity.Name, f.quantity.Format(first[i]), f.quantity.Format(second[i]))
		}
	}
	return nil
}
