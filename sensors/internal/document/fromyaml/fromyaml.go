// Package fromyaml reads YAML as a document's nodes. Each scalar keeps the text in
// which it is written: to YAML 1.1 an unquoted 017 is fifteen, 1e3 a thousand and
// on a truth, but here they are a line, a name and a word.
package fromyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.org/dormouse/sensors/internal/document"
	"go.yaml.in/yaml/v3"
)

// Read takes a file apart into nodes; top is nil where it holds nothing, or is no
// YAML. Instead says what is to be done instead of anchors and merge keys.
func Read(name string, data []byte, instead string) (f *document.File, top *document.Node) {
	f = &document.File{Name: name}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) || bytes.IndexByte(data, 0) >= 0 {
		f.Complain(document.Origin{File: name, Line: 1}, "", "", "is UTF-16 text, or no text at all: save it as UTF-8")
		return f, nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, second yaml.Node
	err := dec.Decode(&root)
	if errors.Is(err, io.EOF) {
		return f, nil
	}
	if err == nil {
		if err = dec.Decode(&second); err == nil {
			f.Complain(document.Origin{File: name, Line: max(second.Line, 1)}, "", "", "a second document begins here (---): the file may hold one")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		line, advice := yamlAdvice(err.Error(), string(data))
		f.Complain(document.Origin{File: name, Line: line}, "", "", "is not YAML: %s", advice)
		return f, nil
	}
	text := root.Content[0]
	if text.Kind == yaml.ScalarNode && text.Value == "" && text.Anchor == "" {
		return f, nil // nothing but comments
	}
	return f, node(text, instead)
}

// node is a node of YAML as one of a document.
func node(n *yaml.Node, instead string) *document.Node {
	d := &document.Node{Value: n.Value, Line: n.Line, Refused: refused(n, instead), Quoted: n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0}
	switch n.Kind {
	case yaml.MappingNode:
		d.Kind = document.Mapping
	case yaml.SequenceNode:
		d.Kind = document.Sequence
	}
	for _, c := range n.Content {
		d.Content = append(d.Content, node(c, instead))
	}
	return d
}

// refused is what YAML can do and isn't taken here: the text would not mean what
// it says.
func refused(n *yaml.Node, instead string) string {
	const quoted = "; if the text begins with this character, put it in double quotes"
	switch {
	case n.Kind == yaml.AliasNode:
		return fmt.Sprintf("*%s is a YAML alias, which is not supported: write the value out%s", n.Value, quoted)
	case n.Anchor != "":
		return fmt.Sprintf("&%s is a YAML anchor, which is not supported: %s%s", n.Anchor, instead, quoted)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Sprintf("%s is a YAML tag, which is not supported%s", n.Tag, quoted)
	case n.Tag == "!!merge":
		return "merge keys are not supported: " + instead
	}
	return ""
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
	case strings.Contains(message, "incompatible YAML document"):
		return line, message + ": only %YAML 1.1 is read, which needs no such line: remove it"
	case strings.Contains(message, "could not find expected ':'"):
		return line, message + ": write KEY: VALUE, with a space after the colon"
	}
	return line, message + ": look at the indentation, and put values with special characters in double quotes"
}
