package syntax

import (
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/document"
	"example.org/dormouse/sensors/internal/document/fromyaml"
)

// A Document is the file taken apart.
type Document struct {
	*document.File
	Defaults *Stanza // nil: there are none
	Stanzas  []*Stanza
	Listed   bool // it has the key sensors
	// WaitForTasks is what stop-tasks says.
	WaitForTasks bool
}

// ReadYAML takes the file apart; what the words in it mean isn't looked at.
func ReadYAML(file string, data []byte) *Document {
	f, top := fromyaml.Read(file, data, "put what sensors have in common into defaults")
	d := &Document{File: f}
	if top != nil {
		d.top(top)
	}
	return d
}

var topKeys = []string{"defaults", "sensors", "tasks", "rails", "stop-tasks"}

func (d *Document) top(n *document.Node) {
	d.Each(n, "", "the file", func(key, value *document.Node) {
		switch key.Value {
		case "defaults":
			d.Defaults = &Stanza{Kind: "defaults", Origin: d.At(key)}
			d.flatten(d.Defaults, "", key, value)
		case "sensors":
			d.Listed = true
			d.list("sensor", key, value)
		case "tasks":
			d.list("task", key, value)
		case "rails":
			d.list("rail", key, value)
		case "stop-tasks":
			switch {
			case value.Kind == document.Scalar && value.Value == "wait":
				d.WaitForTasks = true
			case value.Kind != document.Scalar || value.Value != "term":
				d.Complain(d.At(value), "", key.Value, "is neither wait nor term: with wait running tasks may finish when the daemon stops, with term they are ended")
			}
		default:
			d.Complain(d.At(key), "", key.Value, "is not a key of the file: its keys are %s%s", strings.Join(topKeys, ", "), sensors.DidYouMean(key.Value, topKeys))
		}
	})
}

func (d *Document) list(kind string, key, n *document.Node) {
	valueKey := map[string]string{"sensor": "driver", "rail": "line", "task": "argv"}[kind]
	if d.Unsupported(n, "", key.Value) || n.IsNull() {
		return
	}
	if n.Kind != document.Sequence {
		d.Complain(d.At(key), "", key.Value, "is a list, each %s an item: - {name: …, %s: …}", kind, valueKey)
		return
	}
	for i, item := range n.Content {
		s := &Stanza{Kind: kind, Number: i + 1, Origin: d.At(item)}
		if item.Kind != document.Mapping {
			d.Complain(d.At(item), s.Subject(), "", "is not a mapping: write - {name: …, %s: …}", valueKey)
			continue
		}
		if kind == "task" { // argv is a setting as others are
			s.Value = TaskDriver
			d.item(s, key, item, "")
			continue
		}
		d.item(s, key, item, valueKey)
	}
}

// item reads one sensor or rail of a list.
func (d *Document) item(s *Stanza, key, n *document.Node, valueKey string) {
	before := len(d.Problems)
	d.flatten(s, "", key, n)
	rest := s.Settings[:0]
	for _, set := range s.Settings {
		target := map[string]*string{"name": &s.Name, valueKey: &s.Value}[set.Key]
		switch {
		case target == nil:
			rest = append(rest, set)
		case set.IsList:
			d.Complain(set.Origin, s.Subject(), set.Key, "takes one value, not a list")
		default:
			*target = set.Text
		}
	}
	s.Settings = rest
	nameless := false // and that is reported
	for _, p := range d.Problems[before:] {
		p.Subject = s.Subject() // only now is its name known
		nameless = nameless || s.Name == "" && p.Key == "name"
	}
	if !nameless {
		d.Stanzas = append(d.Stanzas, s)
	}
}

// flatten turns nested mappings into the dotted keys of the flags.
func (d *Document) flatten(s *Stanza, prefix string, at, n *document.Node) {
	what := strings.TrimSuffix(prefix, ".")
	if what == "" {
		what = s.Kind
	}
	d.Each(n, s.Subject(), what, func(k, v *document.Node) {
		set := Setting{Key: prefix + k.Value, Origin: d.At(k)}
		if d.Unsupported(v, s.Subject(), set.Key) {
			return
		}
		switch v.Kind {
		case document.Mapping:
			if len(v.Content) == 0 { // channels: {a0: {}} chooses a channel
				set.Null = true
				s.Settings = append(s.Settings, set)
			}
			d.flatten(s, set.Key+".", k, v)
			return
		case document.Sequence:
			set.IsList = true
			for _, item := range v.Content {
				text, ok := d.element(s, set.Key, item)
				if !ok {
					return
				}
				set.List = append(set.List, text)
			}
			if len(set.List) == 0 {
				set.IsList, set.Null = false, true
			}
		default:
			set.Text = v.Value
			set.Null = v.IsNull()
		}
		s.Settings = append(s.Settings, set)
	})
}

// element is the text of an element of a list: a scalar, or a pair as in
// points: [[0, 0], [1, 5]], which a flag writes 0:0 1:5.
func (d *Document) element(s *Stanza, key string, n *document.Node) (string, bool) {
	if d.Unsupported(n, s.Subject(), key) {
		return "", false
	}
	if n.Kind == document.Scalar {
		if n.IsNull() {
			d.Complain(d.At(n), s.Subject(), key, "has an element without a value")
			return "", false
		}
		return n.Value, true
	}
	if n.Kind == document.Sequence && len(n.Content) == 2 {
		x, y := n.Content[0], n.Content[1]
		if d.Unsupported(x, s.Subject(), key) || d.Unsupported(y, s.Subject(), key) {
			return "", false
		}
		if x.Kind == document.Scalar && y.Kind == document.Scalar {
			return x.Value + ":" + y.Value, true
		}
	}
	d.Complain(d.At(n), s.Subject(), key, "takes a list of words, or of pairs as in [[0, 0], [1, 5]]; put a word that begins with { or [ in double quotes")
	return "", false
}
