package syntax

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"example.org/dormouse/sensors/internal/document"
)

// ReadFlag takes apart NAME=WHAT[,KEY=VALUE]….
func ReadFlag(kind, text string, number int) (*Stanza, Problems) {
	s := &Stanza{Kind: kind, Number: number, Origin: Origin{Flag: fmt.Sprintf("--%s %q", kind, text), Line: number}}
	what := map[string]string{"sensor": "DRIVER", "rail": "LINE", "task": "PROGRAM"}[kind]
	name, rest, ok := strings.Cut(text, "=")
	s.Name = strings.TrimSpace(name)
	if !ok || strings.ContainsAny(name, `,"`) {
		return s, Problems{{Origin: s.Origin, Subject: s.Subject(), Err: fmt.Errorf("is not NAME=%s[,KEY=VALUE]…", what)}}
	}
	s.Origin.Flag = fmt.Sprintf("--%s %s=…", kind, document.Printable(s.Name))
	var problems Problems
	complain := func(key, format string, args ...any) {
		problems = append(problems, &Problem{Origin: s.Origin, Subject: s.Subject(), Key: key, Err: fmt.Errorf(format, args...)})
	}
	value, rest, err := cutValue(rest)
	switch {
	case errors.Is(err, errNoValue):
		complain("", "has no %s after the =: write NAME=%[1]s[,KEY=VALUE]…", what)
	case err != nil:
		complain("", "%w", err)
	}
	s.Value = value
	last := ""
	for rest != "" {
		rest = rest[1:] // the comma
		end := strings.IndexAny(rest, "=,")
		if end < 0 {
			end = len(rest)
		}
		key := strings.TrimSpace(rest[:end])
		if end == len(rest) || rest[end] == ',' {
			switch {
			case key == "" && end == len(rest):
				complain("", "ends with a comma: KEY=VALUE should follow")
			case key == "":
				complain("", "has two commas with nothing between")
			case decimalComma(s.Settings, last, key):
				value := s.Settings[len(s.Settings)-1].Text
				complain(last, "\"%s,%s\" has a decimal comma: write %[1]s.%[2]s", value, key)
			case last != "":
				complain("", "%q is not KEY=VALUE; if it belongs to %s, put that value in double quotes: %s=\"…,%s\"", key, last, last, key)
			default:
				complain("", "%q is not KEY=VALUE", key)
			}
			rest = rest[end:]
			continue
		}
		if value, rest, err = cutValue(rest[end+1:]); key == "" {
			complain("", "has a value without a key before the =")
			continue
		} else if err != nil {
			complain(key, "%w", err)
			continue
		}
		s.Settings = append(s.Settings, Setting{Key: key, Text: value, Origin: s.Origin})
		last = key
	}
	return s, problems
}

// fraction is what may follow a decimal comma: digits, and a unit. To compile the
// class of all letters takes long, and few starts need it.
var fraction = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]+\s?[\p{L}%°/²³]*$`) })

// decimalComma tells whether the value of the last setting and what follows its
// comma are the two parts of a number.
func decimalComma(settings []Setting, last, rest string) bool {
	if last == "" || !fraction().MatchString(rest) {
		return false
	}
	_, err := strconv.Atoi(settings[len(settings)-1].Text)
	return err == nil
}

var errNoValue = errors.New("has no value")

// cutValue takes the value from the beginning of text, which goes on with a
// comma or is at its end. A value in double quotes may hold commas, and there
// \" and \\ stand for a quote and a backslash.
func cutValue(text string) (value, rest string, err error) {
	if !strings.HasPrefix(strings.TrimLeft(text, " "), `"`) {
		value, rest = text, ""
		if i := strings.IndexByte(text, ','); i >= 0 {
			value, rest = text[:i], text[i:]
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.Contains(value, `"`):
			err = fmt.Errorf("%s contains a double quote: put the whole value in double quotes and write \\\" for the one inside", value)
		case value == "":
			err = errNoValue
		}
		return value, rest, err
	}
	text = strings.TrimLeft(text, " ")
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			rest = strings.TrimLeft(text[i+1:], " ")
			if rest != "" && rest[0] != ',' {
				next := strings.IndexByte(rest, ',')
				if next < 0 {
					next = len(rest)
				}
				return "", rest[next:], fmt.Errorf("after the closing quote of %s comes %q: a comma must follow", text[:i+1], rest[:next])
			}
			return b.String(), rest, err
		case '\\':
			i++
			if i < len(text) && text[i] != '"' && text[i] != '\\' && err == nil {
				err = fmt.Errorf(`in quotes a backslash is written \\, and a quote \": %s`, text)
			}
			if i < len(text) {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("the double quote is not closed: %s", text)
}

// splitWords takes a list apart as a shell does, without its expansions: words
// are separated by spaces; 'single quotes' keep everything as it is; "double
// quotes" keep all but \" and \\; elsewhere a backslash keeps the next letter.
func splitWords(text string) ([]string, error) {
	var words []string
	var b strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == '\'':
			if c == quote {
				quote = 0
			} else {
				b.WriteByte(c)
			}
		case quote == '"' && c == quote:
			quote = 0
		case c == '\\' && (quote == 0 || i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\')):
			if i++; i == len(text) {
				return nil, errors.New("ends with a backslash: write two for one")
			}
			b.WriteByte(text[i])
			inWord = true
		case quote == '"':
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words, inWord = append(words, b.String()), false
				b.Reset()
			}
		default:
			b.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, b.String())
	}
	return words, nil
}
