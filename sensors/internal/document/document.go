// Package document is a file that a user wrote, as a tree of nodes with the place
// of each, and what is wrong in it. Package fromyaml makes the tree of YAML;
// package syntax makes stanzas of the configuration from it, and package chips the
// table of a chip.
package document

import "fmt"

// A Kind is what a node is.
type Kind uint8

const (
	Scalar Kind = iota
	Sequence
	Mapping // Content has keys and values in turn
)

// A Node is a value as it is written.
type Node struct {
	Kind    Kind
	Value   string // of a scalar: its text
	Quoted  bool
	Line    int // from 1
	Content []*Node
	// Refused says why the node can't be taken: it would not mean what it says.
	Refused string
}

// IsNull tells whether nothing is written; the word null is a word.
func (n *Node) IsNull() bool {
	return n.Kind == Scalar && !n.Quoted && (n.Value == "" || n.Value == "~")
}

// A File is a file that is read, with what is wrong in it.
type File struct {
	Name     string // for messages
	Problems Problems
}

// At is where a node is written.
func (f *File) At(n *Node) Origin { return Origin{File: f.Name, Line: max(n.Line, 1)} }

// Complain adds a problem.
func (f *File) Complain(o Origin, subject, key, format string, args ...any) {
	f.Problems = append(f.Problems, &Problem{o, subject, key, fmt.Errorf(format, args...)})
}

// Unsupported complains of a node that can't be taken, and tells whether it is
// one.
func (f *File) Unsupported(n *Node, subject, key string) bool {
	if n.Refused != "" {
		f.Complain(f.At(n), subject, key, "%s", n.Refused)
	}
	return n.Refused != ""
}

// Each calls do with the keys and values of a mapping.
func (f *File) Each(n *Node, subject, what string, do func(key, value *Node)) {
	if f.Unsupported(n, subject, "") {
		return
	}
	if n.Kind != Mapping {
		if what == subject {
			what = "it"
		}
		f.Complain(f.At(n), subject, "", "%s is not a mapping of KEY: VALUE", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if f.Unsupported(key, subject, key.Value) {
			continue
		}
		if key.Kind != Scalar || key.Value == "" {
			f.Complain(f.At(key), subject, "", "a key is not a word; put it in double quotes if it begins with { or [")
			continue
		}
		if first, ok := seen[key.Value]; ok {
			f.Complain(f.At(key), subject, key.Value, "is given twice, first in line %d", first)
			continue
		}
		seen[key.Value] = f.At(key).Line
		do(key, value)
	}
}
