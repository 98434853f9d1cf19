package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"example.org/dormouse/sensors"
)

// A syntax is how a command is typed: pflag's flags, and around them what pflag
// leaves to its users: choices, --no-X, arguments that are no flags, a flag that
// is given twice, and help.
type syntax struct {
	usage string // the command itself: "dormouse run"
	help  string
	flags *pflag.FlagSet

	// What may stand beside flags, if anything: "[<name>...]", its help, and
	// how many of it.
	argument, argumentHelp string
	most                   int
	given                  []string
}

func newSyntax(usage, help string) *syntax {
	c := &syntax{usage: usage, help: help, flags: pflag.NewFlagSet(usage, pflag.ContinueOnError)}
	c.flags.SortFlags = false // help shows them in the order of definition
	c.flags.BoolP("help", "h", false, "Show this help.")
	c.flags.BoolP("version", "V", false, "Show the version and what it was built with.")
	return c
}

// text is a flag with a value that may be anything. The placeholder stands for
// the value in the help, where the default doesn't show what is meant.
func (c *syntax) text(p *string, name, placeholder, value, help string) {
	c.flags.StringVar(p, name, value, help)
	c.shownAs(name, placeholder)
}

// texts is a flag that may be repeated. A comma has no meaning in its values.
func (c *syntax) texts(p *[]string, name, placeholder, value, help string) {
	var values []string
	if value != "" {
		values = []string{value}
	}
	c.flags.StringArrayVar(p, name, values, help)
	c.flags.Lookup(name).DefValue = value
	c.shownAs(name, placeholder)
}

// enum is a flag that is one of the choices.
func (c *syntax) enum(p *string, name, value, help string, choices ...string) {
	*p = value
	c.value(&oneOf{p, choices}, name, help)
}

func (c *syntax) duration(p *time.Duration, name string, value time.Duration, help string) {
	c.flags.DurationVar(p, name, value, help)
}

// value is a flag of a type of its own; its default is what it holds.
func (c *syntax) value(v setter, name, help string) {
	c.flags.Var(typed{v}, name, help)
}

// yesNo is a flag that needs no value: --name, or --no-name.
func (c *syntax) yesNo(p *bool, name string, value bool, help string) {
	c.flags.BoolVar(p, name, value, help)
	no := c.flags.VarPF(typed{(*inverse)(p)}, "no-"+name, "", "")
	no.NoOptDefVal, no.Hidden = "true", true
}

// takes says what may stand beside the flags.
func (c *syntax) takes(most int, argument, help string) {
	c.most, c.argument, c.argumentHelp = most, argument, help
}

const placeholderKey = "placeholder"

func (c *syntax) shownAs(name, placeholder string) {
	if placeholder != "" {
		c.flags.Lookup(name).Annotations = map[string][]string{placeholderKey: {placeholder}}
	}
}

// A setter is the value of a flag; typed makes it one of pflag's, whose Type
// is for a help text that isn't ours.
type setter interface {
	Set(string) error
	String() string
}

type typed struct{ setter }

func (typed) Type() string { return "value" }

type oneOf struct {
	value   *string
	choices []string
}

func (o *oneOf) Set(text string) error {
	if !slices.Contains(o.choices, text) {
		return fmt.Errorf("it is one of %s", strings.Join(o.choices, ", "))
	}
	*o.value = text
	return nil
}

func (o *oneOf) String() string { return *o.value }

// inverse sets a boolean to what isn't said: --no-web.
type inverse bool

func (i *inverse) Set(text string) error {
	switch text {
	case "true":
		*i = false
	case "false":
		*i = true
	default:
		return errors.New("it takes no value")
	}
	return nil
}

func (i *inverse) String() string { return fmt.Sprint(!*i) }

// What a command line may ask for instead of what the command does.
var (
	errHelp    = errors.New("help is wanted")
	errVersion = errors.New("the version is wanted")
)

// parse takes what was typed after the command. The error is one of the above,
// or says what can't be, with the flag.
func (c *syntax) parse(args []string) error {
	if err := c.noFlagsAsValues(args); err != nil {
		return err
	}
	seen := map[string]bool{}
	err := c.flags.ParseAll(args, func(f *pflag.Flag, value string) error {
		switch f.Name {
		case "help":
			return errHelp
		case "version":
			return errVersion
		}
		name := f.Name
		if f.Hidden {
			name = strings.TrimPrefix(name, "no-")
		}
		if _, repeatable := f.Value.(pflag.SliceValue); seen[name] && !repeatable {
			return fmt.Errorf("--%s is given twice: once is enough", name)
		}
		seen[name] = true
		return c.flags.Set(f.Name, value)
	})
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return fmt.Errorf("%w%s", unknown, c.didYouMean(unknown))
	}
	if err != nil {
		return err
	}
	c.given = c.flags.Args()
	if len(c.given) > c.most {
		return fmt.Errorf("unexpected %q: %s takes %s", c.given[c.most], c.usage, c.howMany())
	}
	return nil
}

func (c *syntax) howMany() string {
	switch c.most {
	case 0:
		return "nothing but flags"
	case 1:
		return "one argument besides flags at most"
	}
	return fmt.Sprintf("%d arguments besides flags at most", c.most)
}

// noFlagsAsValues refuses a flag without its value before another one, which
// pflag would take for the value.
func (c *syntax) noFlagsAsValues(args []string) error {
	for i, arg := range args {
		if arg == "--" {
			return nil
		}
		name, isLong := strings.CutPrefix(arg, "--")
		f := c.flags.Lookup(name)
		if !isLong || f == nil || f.NoOptDefVal != "" || i+1 == len(args) {
			continue
		}
		if next := args[i+1]; len(next) > 1 && next[0] == '-' {
			return fmt.Errorf("flag needs an argument: %s: write %s=%s if that is its value", arg, arg, next)
		}
	}
	return nil
}

func (c *syntax) didYouMean(unknown *pflag.NotExistError) string {
	typed := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); len(short) > 1 { // -sensor=…
		typed, _, _ = strings.Cut(short, "=")
	} else if short != "" {
		return ""
	}
	var known []string
	c.flags.VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	return sensors.DidYouMean("--"+typed, known)
}

// An application is the whole command line.
type application struct {
	*syntax
	commands []*subcommand
}

type subcommand struct {
	*syntax
	name string
	do   command
}

func newApplication(name, help string) *application {
	a := &application{syntax: newSyntax(name, help)}
	a.takes(math.MaxInt, "<command> [<args> ...]", "") // find says what is wrong
	a.flags.SetInterspersed(false)                     // what follows the command is the command's
	a.add("help", "Show this help, or that of a command.", func(c *syntax) command {
		c.takes(1, "[<command>]", "The command.")
		return func(stdout, _ io.Writer) error {
			about := a.helpText()
			if len(c.given) > 0 {
				sub, err := a.find(c.given[0])
				if err != nil {
					return usageError{err}
				}
				about = sub.helpText()
			}
			_, err := io.WriteString(stdout, about)
			return err
		}
	})
	return a
}

func (a *application) add(name, help string, define func(*syntax) command) {
	c := newSyntax(a.usage+" "+name, help)
	a.commands = append(a.commands, &subcommand{c, name, define(c)})
}

// parse finds the command that was typed. The error is a command line that
// can't be.
func (a *application) parse(args []string) (command, error) {
	about := a.helpText
	err := a.syntax.parse(args)
	if err == nil && len(a.given) == 0 {
		err = errHelp
	}
	var sub *subcommand
	if err == nil {
		sub, err = a.find(a.given[0])
	}
	if err == nil {
		about = sub.helpText
		err = sub.parse(a.given[1:])
	}
	switch {
	case err == nil:
		return sub.do, nil
	case errors.Is(err, errHelp):
		return printed(about), nil
	case errors.Is(err, errVersion):
		return printed(versionText), nil
	}
	return nil, err
}

func printed(text func() string) command {
	return func(stdout, _ io.Writer) error {
		_, err := io.WriteString(stdout, text())
		return err
	}
}

func (a *application) find(name string) (*subcommand, error) {
	var known []string
	for _, c := range a.commands {
		if c.name == name {
			return c, nil
		}
		known = append(known, c.name)
	}
	return nil, fmt.Errorf("there is no command %q%s", name, sensors.DidYouMean(name, known))
}

// helpText is the help for all commands.
func (a *application) helpText() string {
	b := &strings.Builder{}
	b.WriteString(a.syntax.helpText())
	b.WriteString("\nCommands:\n")
	var rows [][2]string
	for _, c := range a.commands {
		first, _, more := strings.Cut(c.help, ". ")
		if more {
			first += "."
		}
		rows = append(rows, [2]string{c.name, first})
	}
	columns(b, rows)
	return b.String()
}

const lineWidth = 80

// helpText is the help for one command: how to type it, what it does, and each
// flag with its default.
func (c *syntax) helpText() string {
	b := &strings.Builder{}
	b.WriteString(strings.TrimSpace("usage: " + c.usage + " [<flags>] " + c.argument))
	b.WriteString("\n\n")
	for line := range strings.Lines(c.help) {
		b.WriteString(strings.Join(wrap(strings.TrimSuffix(line, "\n"), lineWidth), "\n"))
		b.WriteString("\n")
	}
	b.WriteString("\nFlags:\n")
	var rows [][2]string
	c.flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			rows = append(rows, [2]string{c.synopsis(f), describe(f)})
		}
	})
	columns(b, rows)
	if c.argumentHelp != "" {
		b.WriteString("\nArgs:\n")
		columns(b, [][2]string{{c.argument, c.argumentHelp}})
	}
	return b.String()
}

// synopsis is how a flag is typed: its name, with its placeholder or default.
func (c *syntax) synopsis(f *pflag.Flag) string {
	text := "    --"
	if f.Shorthand != "" {
		text = "-" + f.Shorthand + ", --"
	}
	switch {
	case c.flags.Lookup("no-"+f.Name) != nil:
		return text + "[no-]" + f.Name
	case f.NoOptDefVal != "":
		return text + f.Name
	}
	text += f.Name + "="
	if placeholder := f.Annotations[placeholderKey]; placeholder != nil {
		text += placeholder[0]
	} else {
		text += f.DefValue
	}
	if _, repeatable := f.Value.(pflag.SliceValue); repeatable {
		text += " ..."
	}
	return text
}

// describe is a flag's help, with the default where the synopsis doesn't show
// it.
func describe(f *pflag.Flag) string {
	if f.Annotations[placeholderKey] == nil || f.DefValue == "" {
		return f.Usage
	}
	return f.Usage + " Default: " + f.DefValue
}

// columns writes rows in two columns; what is too long for the first has a
// line of its own.
func columns(b *strings.Builder, rows [][2]string) {
	const indent, gap, most = 2, 2, 29
	first := 0
	for _, row := range rows {
		if n := utf8.RuneCountInString(row[0]); n <= most {
			first = max(first, n)
		}
	}
	start := indent + first + gap
	for _, row := range rows {
		at, _ := fmt.Fprintf(b, "%*s%s", indent, "", row[0]) // a Builder's error is always nil
		at -= len(row[0]) - utf8.RuneCountInString(row[0])
		if at > start-gap {
			b.WriteString("\n")
			at = 0
		}
		for _, line := range wrap(row[1], lineWidth-start) {
			fmt.Fprintf(b, "%*s%s\n", start-at, "", line)
			at = 0
		}
	}
}

// wrap breaks a line that is longer than width between words.
func wrap(line string, width int) []string {
	if utf8.RuneCountInString(line) <= width {
		return []string{line}
	}
	var lines []string
	last := ""
	for _, word := range strings.Fields(line) {
		switch {
		case last == "":
			last = word
		case utf8.RuneCountInString(last)+1+utf8.RuneCountInString(word) <= width:
			last += " " + word
		default:
			lines = append(lines, last)
			last = word
		}
	}
	return append(lines, last)
}
