package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A stanza is one sensor, task or rail, or the defaults, as written in a flag or in
// the file: the common form of both, before the keys are looked at.
type stanza struct {
	kind     string // "sensor", "task", "rail", "defaults"
	name     string
	number   int    // which of its kind it is, from 1
	value    string // a sensor's or a task's driver, a rail's line
	origin   Origin
	settings []setting
}

func (s *stanza) subject() string {
	switch {
	case s.kind == "defaults":
		return s.kind
	case s.name == "":
		return fmt.Sprintf("%s %d", s.kind, s.number)
	}
	return s.kind + " " + printable(s.name)
}

// A setting is one key with its value.
type setting struct {
	key    string // "a0.calibrate.offset"
	text   string
	list   []string // of a YAML sequence, instead of text
	isList bool
	null   bool // the key has no value
	origin Origin
}

// canonical is the key under which a setting is known, whichever way it was
// written: the file says labels: and channels: where a flag says label. and
// nothing, and a channel's calibration may be given without its first name.
func canonical(key string) string {
	key = strings.TrimPrefix(key, "channels.")
	if rest, ok := strings.CutPrefix(key, "labels."); ok {
		key = "label." + rest
	}
	return key
}

// printable is a name as a message shows it.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// has tells whether a key is given.
func (s *stanza) has(key string) bool {
	return slices.ContainsFunc(s.settings, func(set setting) bool { return set.key == key })
}

// plain is the text of a setting that takes one value.
func (set setting) plain() (string, error) {
	if set.isList {
		return "", errors.New("takes one value, not a list")
	}
	if set.null {
		return "", errors.New("has no value; put one that begins with # or is ~ in double quotes")
	}
	return set.text, checkText(set.text)
}

// words are the elements of a setting that takes a list.
func (set setting) words() ([]string, error) {
	list := set.list
	if !set.isList {
		text, err := set.plain()
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
