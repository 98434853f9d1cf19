package syntax

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"example.org/dormouse/sensors/internal/document"
)

// A Stanza is one sensor, task or rail, or the defaults, as written in a flag or in
// the file: the common form of both, before the keys are looked at.
type Stanza struct {
	Kind     string // "sensor", "task", "rail", "defaults"
	Name     string
	Number   int    // which of its kind it is, from 1
	Value    string // a sensor's or a task's driver, a rail's line
	Origin   Origin
	Settings []Setting
}

// Subject names the stanza in messages: "sensor greenhouse", "rail 2".
func (s *Stanza) Subject() string {
	switch {
	case s.Kind == "defaults":
		return s.Kind
	case s.Name == "":
		return fmt.Sprintf("%s %d", s.Kind, s.Number)
	}
	return s.Kind + " " + document.Printable(s.Name)
}

// A Setting is one key with its value.
type Setting struct {
	Key    string // "a0.calibrate.offset"
	Text   string
	List   []string // of a YAML sequence, instead of Text
	IsList bool
	Null   bool // the key has no value
	Origin Origin
}

// Has tells whether a key is given.
func (s *Stanza) Has(key string) bool {
	return slices.ContainsFunc(s.Settings, func(set Setting) bool { return set.Key == key })
}

// Plain is the text of a setting that takes one value.
func (set Setting) Plain() (string, error) {
	if set.IsList {
		return "", errors.New("takes one value, not a list")
	}
	if set.Null {
		return "", errors.New("has no value: give one, or remove the key; put a value that begins with #, or ~ alone, in double quotes")
	}
	return set.Text, checkText(set.Text)
}

// Words are the elements of a setting that takes a list.
func (set Setting) Words() ([]string, error) {
	list := set.List
	if !set.IsList {
		text, err := set.Plain()
		if err != nil {
			return nil, err
		}
		if list, err = splitWords(text); err != nil {
			return nil, err
		}
	}
	for _, w := range list {
		if err := checkText(w); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, errors.New("has no value")
	}
	return list, nil
}

// checkText refuses what no option, program or page can take.
func checkText(text string) error {
	switch {
	case strings.ContainsRune(text, 0):
		return errors.New("contains a zero byte")
	case !utf8.ValidString(text):
		return errors.New("isn't UTF-8 text")
	}
	return nil
}
