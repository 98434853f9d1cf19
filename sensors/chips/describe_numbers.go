package chips

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
)

// integer reads a whole number as data sheets write it: 12, 0x1f, 0b101.
func (d *describer) integer(n *document.Node, text string) (magnitude uint64, negative, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	base := 10
	switch {
	case strings.HasPrefix(digits, "0x"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0b"):
		digits, base = digits[2:], 2
	case len(digits) > 1 && digits[0] == '0':
		d.complain(n, "%q begins with a zero: write 0x for hexadecimal, 0b for binary", text)
		return 0, false, false
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		d.complain(n, "%q is not a whole number: write 12, 0x1f or 0b101", text)
		return 0, false, false
	}
	return v, negative, true
}

// bits reads a pattern of up to 64 bits.
func (d *describer) bits(to *uint64) reader {
	return func(n *document.Node) {
		text, ok := d.scalar(n)
		if !ok {
			return
		}
		v, negative, ok := d.integer(n, text)
		if ok && negative {
			d.complain(n, "%q is negative", text)
			return
		}
		*to = v
	}
}

// mask reads the bits that count.
func (d *describer) mask(to *uint64) reader {
	read := d.bits(to)
	return func(n *document.Node) {
		before := len(d.Problems)
		if read(n); *to == 0 && len(d.Problems) == before {
			d.complain(n, "has no bit that counts")
		}
	}
}

func (d *describer) number(to *int64) reader {
	return func(n *document.Node) {
		if text, ok := d.scalar(n); ok {
			*to = d.signed(n, text)
		}
	}
}

func (d *describer) signed(n *document.Node, text string) int64 {
	v, negative, ok := d.integer(n, text)
	switch {
	case !ok:
		return 0
	case v > math.MaxInt64:
		d.complain(n, "%q is too large", text)
		return 0
	case negative:
		return -int64(v)
	}
	return int64(v)
}

// count reads how many bytes: 1 to 32.
func (d *describer) count(to *int) reader { return d.small(to, 1, longest) }

// index reads the number of a byte from 0.
func (d *describer) index(to *int) reader { return d.small(to, 0, mostItems*longest) }

func (d *describer) small(to *int, least, most int64) reader {
	return func(n *document.Node) {
		text, ok := d.scalar(n)
		if !ok {
			return
		}
		if v := d.signed(n, text); v < least || v > most {
			d.complain(n, "is %d to %d", least, most)
		} else {
			*to = int(v)
		}
	}
}

// bytes reads one byte or a list of them.
func (d *describer) bytes(to *hex) reader {
	return func(n *document.Node) {
		var p hex
		for _, text := range d.words(n) {
			v, negative, ok := d.integer(n, text)
			if ok && (negative || v > math.MaxUint8) {
				d.complain(n, "%s is not a byte, which is 0 to 0xff: write several as a list, [0x24, 0x00]", text)
			}
			p = append(p, byte(v))
		}
		if len(p) > mostBytes {
			d.complain(n, "has more than %d bytes", mostBytes)
		}
		*to = p
	}
}

// plain reads a number without a unit, which may be a fraction and isn't 0.
func (d *describer) plain(to *float64) reader {
	return func(n *document.Node) {
		text, ok := d.scalar(n)
		if !ok {
			return
		}
		v, err := fraction(text, strconv.ParseFloat)
		if err == nil && (v == 0 || math.IsInf(v, 0) || math.IsNaN(v)) {
			err = fmt.Errorf("%q is 0 or no number", text)
		}
		if err != nil {
			d.complain(n, "%w", err)
			return
		}
		*to = v
	}
}

// fraction reads A/B, or one number.
func fraction(text string, parse func(string, int) (float64, error)) (float64, error) {
	above, below, divided := strings.Cut(text, "/")
	v, err := parse(strings.TrimSpace(above), 64)
	if err != nil || !divided {
		return v, err
	}
	w, err := parse(strings.TrimSpace(below), 64)
	return v / w, err
}

// interval reads [least, most].
func (d *describer) interval(n *document.Node, parse func(string) (float64, error)) *sensors.Range {
	words := d.words(n)
	if len(words) != 2 {
		d.complain(n, "is written [LEAST, MOST]")
		return nil
	}
	low, err := parse(words[0])
	high, err2 := parse(words[1])
	switch {
	case err != nil:
		d.complain(n, "%w", err)
	case err2 != nil:
		d.complain(n, "%w", err2)
	case low >= high:
		d.complain(n, "%s is not below %s", words[0], words[1])
	default:
		return &sensors.Range{Min: low, Max: high}
	}
	return nil
}
