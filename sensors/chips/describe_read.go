package chips

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
)

// A reader reads the value of a key.
type reader func(n *document.Node)

// Bounds of a description, far above what a chip needs.
const (
	mostItems = 64  // of a list
	mostText  = 500 // characters
	mostBytes = 64
)

// mapping reads the keys of a mapping, and complains of those that are unknown or
// missing.
func (d *describer) mapping(n *document.Node, subject string, keys map[string]reader, required ...string) {
	outer, outerKey := d.subject, d.key
	d.subject = subject
	defer func() { d.subject, d.key = outer, outerKey }()
	given := map[string]bool{}
	d.Each(n, subject, "it", func(k, v *document.Node) {
		d.key, given[k.Value] = k.Value, true
		d.places[place(subject, k.Value)] = d.At(k)
		read, ok := keys[k.Value]
		switch {
		case !ok:
			known := slices.Sorted(maps.Keys(keys))
			d.complain(k, "is not a key here%s: known are %s", sensors.DidYouMean(k.Value, known), strings.Join(known, ", "))
		case !d.Unsupported(v, subject, k.Value):
			read(v)
		}
	})
	d.key = ""
	if n.Kind != document.Mapping {
		return
	}
	for _, key := range required {
		if !given[key] {
			d.Complain(d.At(n), subject, key, "is missing")
		}
	}
}

// place is the name of the place of a key.
func place(subject, key string) string { return subject + ": " + key }

func (d *describer) complain(n *document.Node, format string, args ...any) {
	d.Complain(d.At(n), d.subject, d.key, format, args...)
}

// item is the subject of an item of a list, whose place is kept.
func (d *describer) item(kind string, i int, n *document.Node) string {
	subject := fmt.Sprintf("%s %d", kind, i+1)
	d.places[subject] = d.At(n)
	return subject
}

// free refuses a name, of a setting, a number, a channel or a label, that means
// something else already.
func (d *describer) free(subject, key, name string) {
	at := d.places[place(subject, key)]
	switch {
	case strings.Contains(name, "."):
		d.Complain(at, subject, key, "%s has a dot, which separates a channel from its key", name)
	case slices.ContainsFunc(d.chip.settings, func(s setting) bool { return s.name == name }),
		slices.ContainsFunc(d.family.options, func(o sensors.Option) bool { return o.Name == name }),
		slices.ContainsFunc(d.chip.channels, func(c channel) bool { return c.name == name }):
		d.Complain(at, subject, key, "there is another setting, number or channel %s", name)
	case name == DescriptionOption.Name || name == "bus" || name == "addr" || name == "channel" || sensors.IsCommonKey(name):
		d.Complain(at, subject, key, "%s is a key of every described sensor, or of its channels: choose another name", name)
	}
}

// list reads the items of a list.
func (d *describer) list(read func(n *document.Node, i int)) reader {
	return func(n *document.Node) {
		if n.Kind != document.Sequence || len(n.Content) == 0 || len(n.Content) > mostItems {
			d.complain(n, "is a list of 1 to %d", mostItems)
			return
		}
		for i, item := range n.Content {
			if !d.Unsupported(item, d.subject, d.key) {
				read(item, i)
			}
		}
	}
}

// scalar is the text of a value.
func (d *describer) scalar(n *document.Node) (string, bool) {
	switch {
	case n.Kind != document.Scalar || n.IsNull():
		d.complain(n, "takes one value")
	case len(n.Value) > mostText || !utf8.ValidString(n.Value) || strings.ContainsFunc(n.Value, unicode.IsControl):
		d.complain(n, "takes a text of at most %d bytes in one line", mostText)
	default:
		return n.Value, true
	}
	return "", false
}

// words are the scalars of a list, or one.
func (d *describer) words(n *document.Node) []string {
	list := []*document.Node{n}
	if n.Kind == document.Sequence {
		list = n.Content
	}
	if len(list) == 0 || len(list) > mostItems {
		d.complain(n, "takes 1 to %d values", mostItems)
		return nil
	}
	var words []string
	for _, item := range list {
		if d.Unsupported(item, d.subject, d.key) {
			continue
		}
		if text, ok := d.scalar(item); ok {
			words = append(words, text)
		}
	}
	return words
}

func (d *describer) text(to *string) reader {
	return func(n *document.Node) { *to, _ = d.scalar(n) }
}

func (d *describer) name(to *string) reader {
	return func(n *document.Node) {
		text, ok := d.scalar(n)
		if ok && !sensors.ValidName(text) {
			d.complain(n, "%q is not a valid name: use letters, digits, _ . and -, at most 64", text)
			return
		}
		*to = text
	}
}

func (d *describer) names(to *[]string) reader {
	return func(n *document.Node) { *to = d.words(n) }
}

func (d *describer) yes(to *bool) reader {
	return func(n *document.Node) {
		text, ok := d.scalar(n)
		v, err := sensors.Option{Type: sensors.BoolOption}.Parse(text)
		if !ok {
			return
		}
		if err != nil {
			d.complain(n, "%w", err)
			return
		}
		*to = v.(bool)
	}
}

func (d *describer) duration(to *time.Duration) reader {
	return func(n *document.Node) {
		text, ok := d.scalar(n)
		if !ok {
			return
		}
		v, err := duration.Parse(text)
		if err == nil && (v < 0 || v > time.Minute) {
			err = fmt.Errorf("%q is not within 0s to 1m", text)
		}
		if err != nil {
			d.complain(n, "%w", err)
			return
		}
		*to = v
	}
}
