package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/version"
)

// trial is a command line with a command that has one flag of each kind, and
// tells what it was given.
func trial() *application {
	a := newApplication("trial", "Try it.")
	a.add("none", "Takes nothing. Says so.", func(*syntax) command {
		return func(stdout, _ io.Writer) error {
			_, err := io.WriteString(stdout, "none")
			return err
		}
	})
	a.add("work", "Work.", func(c *syntax) command {
		var (
			file, kind string
			names      []string
			on, off    bool
			wait       time.Duration
			mask       octal = 0o022
		)
		c.text(&file, "file", "FILE", "here", "A file.")
		c.texts(&names, "name", "NAME", "nobody", "Who. Repeatable.")
		c.enum(&kind, "kind", "tame", "What kind.", "tame", "wild")
		c.yesNo(&on, "on", true, "On.")
		c.yesNo(&off, "off", false, "Off.")
		c.duration(&wait, "wait", time.Second, "How long.")
		c.value(&mask, "mask", "Octal.")
		c.takes(2, "[<thing>...]", "Things.")
		return func(stdout, _ io.Writer) error {
			_, err := fmt.Fprintf(stdout, "%s %q %s %v %v %v %v %q", file, names, kind, on, off, wait, &mask, c.given)
			return err
		}
	})
	return a
}

func TestSyntax(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"none", `none`},
		{"work", `here ["nobody"] tame true false 1s 022 []`},
		{"work --file=there --kind=wild --wait=2m --mask=77", `there ["nobody"] wild true false 2m0s 077 []`},
		{"work --file there --kind wild --wait 2m --mask 77", `there ["nobody"] wild true false 2m0s 077 []`},
		{"work --file=", ` ["nobody"] tame true false 1s 022 []`},
		{"work --file=a=b --file2", `error: unknown flag: --file2 (did you mean --file?)`},
		{"work --name=a,b --name c", `here ["a,b" "c"] tame true false 1s 022 []`},
		{"work --no-on --off", `here ["nobody"] tame false true 1s 022 []`},
		{"work --on --no-off", `here ["nobody"] tame true false 1s 022 []`},
		{"work --on=false --off=true", `here ["nobody"] tame false true 1s 022 []`},
		{"work --no-on=false", `here ["nobody"] tame true false 1s 022 []`},
		{"work x --off y", `here ["nobody"] tame true true 1s 022 ["x" "y"]`},
		{"work --off -- --on -", `here ["nobody"] tame true true 1s 022 ["--on" "-"]`},
		{"work --file -", `- ["nobody"] tame true false 1s 022 []`},
		{"work --file=-x", `-x ["nobody"] tame true false 1s 022 []`},

		{"wrok", `error: there is no command "wrok" (did you mean work?)`},
		{"sleep", `error: there is no command "sleep"`},
		{"help wrok", `error: there is no command "wrok" (did you mean work?)`},
		{"--off work", `error: unknown flag: --off`},
		{"work --fiel=x", `error: unknown flag: --fiel (did you mean --file?)`},
		{"work --no-file", `error: unknown flag: --no-file (did you mean --file?)`},
		{"work --no-offf", `error: unknown flag: --no-offf (did you mean --no-off?)`},
		{"work -file=x", `error: unknown shorthand flag: 'f' in -file=x (did you mean --file?)`},
		{"work -x", `error: unknown shorthand flag: 'x' in -x`},
		{"work --file", `error: flag needs an argument: --file`},
		{"work --file --off", `error: flag needs an argument: --file: write --file=--off if that is its value`},
		{"work --wait -5s", `error: flag needs an argument: --wait: write --wait=-5s if that is its value`},
		{"work --kind=odd", `error: invalid argument "odd" for "--kind" flag: it is one of tame, wild`},
		{"work --wait=5", `error: invalid argument "5" for "--wait" flag: time: missing unit in duration "5"`},
		{"work --mask=089", `error: invalid argument "089" for "--mask" flag: write a file creation mask in octal, as in 022`},
		{"work --mask=1000", `error: invalid argument "1000" for "--mask" flag: write a file creation mask in octal, as in 022`},
		{"work --on=maybe", `error: invalid argument "maybe" for "--on" flag: strconv.ParseBool: parsing "maybe": invalid syntax`},
		{"work --no-on=maybe", `error: invalid argument "maybe" for "--no-on" flag: it takes no value`},
		{"work --file=a --file=b", `error: --file is given twice: once is enough`},
		{"work --on --no-on", `error: --on is given twice: once is enough`},
		{"work a b c", `error: unexpected "c": trial work takes 2 arguments besides flags at most`},
		{"none a", `error: unexpected "a": trial none takes nothing but flags`},
	} {
		got := whatIsTyped(trial(), strings.Fields(tt.args))
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.args, got, tt.want)
		}
	}
}

// whatIsTyped is what a command line prints, or its error.
func whatIsTyped(a *application, args []string) string {
	do, err := a.parse(args)
	var out bytes.Buffer
	if err == nil {
		err = do(&out, io.Discard)
	}
	if err != nil {
		return out.String() + "error: " + err.Error()
	}
	return out.String()
}

const workHelp = `usage: trial work [<flags>] [<thing>...]

Work.

Flags:
  -h, --help           Show this help.
  -V, --version        Show the version and what it was built with.
      --file=FILE      A file. Default: here
      --name=NAME ...  Who. Repeatable. Default: nobody
      --kind=tame      What kind.
      --[no-]on        On.
      --[no-]off       Off.
      --wait=1s        How long.
      --mask=022       Octal.

Args:
  [<thing>...]  Things.
`

const trialHelp = `usage: trial [<flags>] <command> [<args> ...]

Try it.

Flags:
  -h, --help     Show this help.
  -V, --version  Show the version and what it was built with.

Commands:
  help  Show this help, or that of a command.
  none  Takes nothing.
  work  Work.
`

func TestSyntaxHelp(t *testing.T) {
	for want, lines := range map[string][]string{
		trialHelp:     {"", "help", "--help", "-h", "-h --nonsense"},
		workHelp:      {"help work", "work --help", "work -h", "work a --off -h", "work --help --nonsense"},
		versionText(): {"--version", "-V", "work --version", "work -V"},
	} {
		for _, line := range lines {
			if got := whatIsTyped(trial(), strings.Fields(line)); got != want {
				t.Errorf("%q:\n%s\nwant:\n%s", line, got, want)
			}
		}
	}
}

// The help of each command names all of its flags and fits on a terminal.
func TestHelpFits(t *testing.T) {
	commands := []string{"help", "run", "start", "stop", "restart", "reload", "status", "inspect", "read", "check", "scan", "pinout", "drivers", "demo"}
	for _, command := range commands {
		var out bytes.Buffer
		if code := run([]string{command, "--help"}, &out, io.Discard); code != 0 {
			t.Fatalf("%s --help: exit status %d", command, code)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > 80 || strings.HasSuffix(line, " ") {
				t.Errorf("%s --help: this line is longer than 80 columns, or ends with a space: %q", command, line)
			}
		}
	}
	for _, command := range []string{"run", "start", "restart", "check"} {
		var out bytes.Buffer
		run([]string{"help", command}, &out, io.Discard)
		at := -1
		for _, flag := range []string{"sensor=NAME=", "rail=NAME=", "config.file=FILE", "every=5m", "board=auto", "state.directory=DIR", "log.level=",
			"log.format=logfmt", "[no-]web ", "web.listen-address=ADDRESS ...", "[no-]web.systemd-socket", "web.config.file=FILE", "web.telemetry-path=/metrics",
			"[no-]web.enable-lifecycle", "textfile=FILE", "log.output=stderr|syslog|FILE", "pid-file=FILE", "user=USER", "group=GROUP", "umask=022",
			"working-directory=/", "[no-]wake-suspended", "release-executable=auto"} {
			next := strings.Index(out.String(), "      --"+flag)
			if next <= at {
				t.Errorf("%s --help doesn't show --%s, or not at its place:\n%s", command, flag, out.String())
			}
			at = next
		}
	}
}

// --version answers as every exporter does.
func TestVersionText(t *testing.T) {
	if got, want := versionText(), version.Print("dormouse")+"\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"", []string{""}},
		{"as  it is", []string{"as  it is"}}, // fits: its spaces mean something
		{"one two three", []string{"one two", "three"}},
		{"einszweidrei four", []string{"einszweidrei", "four"}},
		{"äöü äöü äöü", []string{"äöü äöü", "äöü"}},
	} {
		if got := wrap(tt.line, 9); !slices.Equal(got, tt.want) {
			t.Errorf("wrap(%q) = %q, want %q", tt.line, got, tt.want)
		}
	}
}
