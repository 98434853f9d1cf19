package syntax

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.org/dormouse/sensors"
	"go.yaml.in/yaml/v3"
)

// The file is read as YAML's nodes, and each scalar keeps the text in which it
// is written: to YAML 1.1 an unquoted 017 is fifteen, 1e3 a thousand and on a
// truth, but here they are a line, a name and a word.

// A Document is the file taken apart.
type Document struct {
	Problems Problems
	Defaults *Stanza // nil: there are none
	Stanzas  []*Stanza
	Listed   bool // it has the key sensors
	// WaitForTasks is what stop-tasks says.
	WaitForTasks bool

	file string
}

func (d *Document) at(n *yaml.Node) Origin { return Origin{File: d.file, Line: max(n.Line, 1)} }

func (d *Document) complain(o Origin, subject, key, format string, args ...any) {
	d.Problems = append(d.Problems, &Problem{o, subject, key, fmt.Errorf(format, args...)})
}

// ReadYAML takes the file apart; what the words in it mean isn't looked at.
func ReadYAML(file string, data []byte) *Document {
	d := &Document{file: file}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) || bytes.IndexByte(data, 0) >= 0 {
		d.complain(Origin{File: file, Line: 1}, "", "", "is UTF-16 text, or no text at all: save it as UTF-8")
		return d
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	err := dec.Decode(&root)
	if errors.Is(err, io.EOF) {
		return d
	}
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			d.complain(d.at(&second), "", "", "a second document begins here (---): the configuration is one")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		line, advice := yamlAdvice(err.Error(), string(data))
		d.complain(Origin{File: file, Line: line}, "", "", "is not YAML: %s", advice)
		return d
	}
	top := root.Content[0]
	if top.Kind == yaml.ScalarNode && top.Value == "" && top.Anchor == "" {
		return d // nothing but comments
	}
	d.top(top)
	return d
}

var topKeys = []string{"defaults", "sensors", "tasks", "rails", "stop-tasks"}

func (d *Document) top(n *yaml.Node) {
	d.each(n, "", "the file", func(key, value *yaml.Node) {
		switch key.Value {
		case "defaults":
			d.Defaults = &Stanza{Kind: "defaults", Origin: d.at(key)}
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
			case value.Kind == yaml.ScalarNode && value.Value == "wait":
				d.WaitForTasks = true
			case value.Kind != yaml.ScalarNode || value.Value != "term":
				d.complain(d.at(value), "", key.Value, "is neither wait nor term: whether tasks that run when the daemon is to end are waited for, or ended")
			}
		default:
			d.complain(d.at(key), "", key.Value, "is none of %s%s", strings.Join(topKeys, ", "), sensors.DidYouMean(key.Value, topKeys))
		}
	})
}

func (d *Document) list(kind string, key, n *yaml.Node) {
	valueKey := map[string]string{"sensor": "driver", "rail": "line", "task": "argv"}[kind]
	if d.unsupported(n, "", key.Value) || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.complain(d.at(key), "", key.Value, "is a list, each %s an item: - {name: …, %s: …}", kind, valueKey)
		return
	}
	for i, item := range n.Content {
		s := &Stanza{Kind: kind, Number: i + 1, Origin: d.at(item)}
		if item.Kind != yaml.MappingNode {
			d.complain(d.at(item), s.Subject(), "", "is not a mapping: write - {name: …, %s: …}", valueKey)
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
func (d *Document) item(s *Stanza, key, n *yaml.Node, valueKey string) {
	before := len(d.Problems)
	d.flatten(s, "", key, n)
	rest := s.Settings[:0]
	for _, set := range s.Settings {
		target := map[string]*string{"name": &s.Name, valueKey: &s.Value}[set.Key]
		switch {
		case target == nil:
			rest = append(rest, set)
		case set.IsList:
			d.complain(set.Origin, s.Subject(), set.Key, "takes one value, not a list")
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

// each calls f with the keys and values of a mapping.
func (d *Document) each(n *yaml.Node, subject, what string, f func(key, value *yaml.Node)) {
	if d.unsupported(n, subject, "") {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.complain(d.at(n), subject, "", "%s is not a mapping of KEY: VALUE", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if d.unsupported(key, subject, key.Value) {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			d.complain(d.at(key), subject, "", "a key is not a word; put it in double quotes if it begins with { or [")
			continue
		}
		if first, ok := seen[key.Value]; ok {
			d.complain(d.at(key), subject, key.Value, "is given twice, first in line %d", first)
			continue
		}
		seen[key.Value] = d.at(key).Line
		f(key, value)
	}
}

// unsupported reports what YAML can do and the configuration doesn't: the text
// would not mean what it says.
func (d *Document) unsupported(n *yaml.Node, subject, key string) bool {
	quoted := "; if the text begins with this character, put it in double quotes"
	switch {
	case n.Kind == yaml.AliasNode:
		d.complain(d.at(n), subject, key, "*%s is a YAML alias, which is not supported: write the value out%s", n.Value, quoted)
	case n.Anchor != "":
		d.complain(d.at(n), subject, key, "&%s is a YAML anchor, which is not supported: put what sensors have in common into defaults%s", n.Anchor, quoted)
	case n.Style&yaml.TaggedStyle != 0:
		d.complain(d.at(n), subject, key, "%s is a YAML tag, which is not supported%s", n.Tag, quoted)
	case n.Tag == "!!merge":
		d.complain(d.at(n), subject, key, "merge keys are not supported: put what sensors have in common into defaults")
	default:
		return false
	}
	return true
}

// flatten turns nested mappings into the dotted keys of the flags.
func (d *Document) flatten(s *Stanza, prefix string, at, n *yaml.Node) {
	what := strings.TrimSuffix(prefix, ".")
	if what == "" {
		what = s.Kind
	}
	d.each(n, s.Subject(), what, func(k, v *yaml.Node) {
		set := Setting{Key: prefix + k.Value, Origin: d.at(k)}
		if d.unsupported(v, s.Subject(), set.Key) {
			return
		}
		switch v.Kind {
		case yaml.MappingNode:
			if len(v.Content) == 0 { // channels: {a0: {}} chooses a channel
				set.Null = true
				s.Settings = append(s.Settings, set)
			}
			d.flatten(s, set.Key+".", k, v)
			return
		case yaml.SequenceNode:
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
			set.Null = isNull(v)
		}
		s.Settings = append(s.Settings, set)
	})
}

// element is the text of an element of a list: a scalar, or a pair as in
// points: [[0, 0], [1, 5]], which a flag writes 0:0 1:5.
func (d *Document) element(s *Stanza, key string, n *yaml.Node) (string, bool) {
	if d.unsupported(n, s.Subject(), key) {
		return "", false
	}
	if n.Kind == yaml.ScalarNode {
		if isNull(n) {
			d.complain(d.at(n), s.Subject(), key, "has an element without a value")
			return "", false
		}
		return n.Value, true
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
		x, y := n.Content[0], n.Content[1]
		if d.unsupported(x, s.Subject(), key) || d.unsupported(y, s.Subject(), key) {
			return "", false
		}
		if x.Kind == yaml.ScalarNode && y.Kind == yaml.ScalarNode {
			return x.Value + ":" + y.Value, true
		}
	}
	d.complain(d.at(n), s.Subject(), key, "takes a list of words, or of pairs as in [[0, 0], [1, 5]]; put a word that begins with { or [ in double quotes")
	return "", false
}

// isNull tells whether nothing is written; the word null is a word.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 && (n.Value == "" || n.Value == "~")
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	// The library counts the lines of these errors, its parser's, from 0; those
	// of its scanner from 1.
	yamlParserError = regexp.MustCompile(`^did not find expected (<|node content|key|'-' indicator|',' or)`)
	yamlAnchor      = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
)

// yamlAdvice says where YAML's syntax is broken and what was probably meant.
func yamlAdvice(message, data string) (line int, advice string) {
	lines := strings.Split(strings.TrimRight(data, "\n"), "\n")
	line = 1
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		message = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
			if yamlParserError.MatchString(message) {
				line++
			}
		}
	}
	find := func(in func(string) bool) {
		for i, l := range lines {
			if in(l) {
				line = i + 1
				return
			}
		}
	}
	star := `a value that begins with * is a YAML alias: put it in double quotes, as in at: "*/5 * * * *"`
	if m := yamlAnchor.FindStringSubmatch(message); m != nil {
		find(func(l string) bool { return strings.Contains(l, "*"+m[1]) })
		return line, star
	}
	if !utf8.ValidString(data) {
		find(func(l string) bool { return !utf8.ValidString(l) })
		return line, message + ": the file must be UTF-8 text"
	}
	line = min(max(line, 1), len(lines))
	if tab := regexp.MustCompile(`^ *\t`); strings.Contains(message, "tab character") && !tab.MatchString(lines[line-1]) {
		find(tab.MatchString)
	}
	text := lines[line-1]
	switch {
	case strings.Contains(message, "alphabetic or numeric") && strings.Contains(text, "*"):
		return line, star
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t"), strings.Contains(message, "tab character"):
		return line, "the line is indented with a tab: use spaces"
	case strings.Contains(message, "cannot start any token"):
		return line, message + ": a value that begins with @, % or ` must stand in double quotes"
	case strings.Contains(message, "mapping values are not allowed"):
		return line, message + ": put a value that contains a colon and a space in double quotes; keys of one sensor begin in the same column"
	case strings.Contains(message, "',' or"):
		return line, message + ": close what { or [ opens, and put a value that contains one of { } [ ] , : in double quotes"
	case strings.Contains(message, "unexpected end of stream"):
		return line, message + ": a quote is not closed"
	case strings.Contains(message, "could not find expected ':'"):
		return line, message + ": write KEY: VALUE, with a space after the colon"
	}
	return line, message + ": look at the indentation, and put values with special characters in double quotes"
}
