//go:build system

package pi

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// onPins are sensors on lines that are free (GPIO17, 22), that are I2C bus 1's
// (GPIO2 and 3, SDA and SCL) and a serial port's (GPIO14 and 15, TXD and RXD):
// as an input and as a supply.
var onPins = []string{
	"--sensor=free=switch,pin=GPIO17", "--sensor=sda=switch,pin=GPIO2", "--sensor=txd=switch,pin=GPIO14",
	"--sensor=supplied=thermal,power=GPIO22", "--sensor=scl=thermal,power=GPIO3", "--sensor=rxd=thermal,power=GPIO15",
}

// pins looks at GPFSEL before and after every command there is: none changes
// what a line is without force=yes, not even where a sensor names the line.
func pins(t *testing.T, b *bench) {
	left := commandNames(t, b)
	ran := func(name string) {
		t.Helper()
		left = slices.DeleteFunc(left, func(n string) bool { return n == name })
		if changed := b.changed(t, b.booted); changed != "" {
			t.Errorf("after %s %s", name, changed)
		}
	}
	run := func(status int, args ...string) (said string) {
		t.Helper()
		stdout, stderr, got := b.Run(t, args...)
		if got != status {
			t.Errorf("dormouse %q: exit status %d, want %d:\n%s%s", args, got, status, stdout, stderr)
		}
		ran(args[0])
		return stdout + stderr
	}
	for _, args := range [][]string{{"help"}, {"drivers"}, {"scan"}} {
		run(0, args...)
	}
	refusesPeripherals(t, run(0, append([]string{"pinout"}, onPins...)...))
	refusesPeripherals(t, run(0, append([]string{"check"}, onPins...)...))
	refusesPeripherals(t, run(1, append([]string{"check", "--hardware"}, onPins...)...))
	// Not root, they have the device tree alone to read.
	const debug = "/sys/kernel/debug"
	kit.Do(t, b.pi.Machine, "umount", debug)
	refusesPeripherals(t, run(1, append([]string{"read"}, onPins...)...))
	kit.Do(t, b.pi.Machine, "mount", "-t", "debugfs", "debugfs", debug)
	run(1, append([]string{"selftest", "--asleep=1s"}, onPins...)...)
	b.foreground(t, []string{"The first wake brought"}, "demo")
	ran("demo")
	refused := []string{"sensor=sda ", "sensor=scl ", "sensor=txd ", "sensor=rxd "}
	b.foreground(t, refused, append([]string{"run", "--pid-file=/run/pins.pid", "--state.directory=/run", "--no-web"}, onPins...)...)
	ran("run")

	d := b.Daemon(t, onPins...)
	ran("start")
	sensors := d.Read()
	ran("read")
	for name, up := range map[string]bool{"free": true, "supplied": true, "sda": false, "scl": false, "txd": false, "rxd": false} {
		if s := sensors[name]; *s.Up != up || !up && !strings.Contains(s.Error, "force=yes") {
			t.Errorf("%s: up %t, %s", name, *s.Up, s.Error)
		}
	}
	pidFile := "--pid-file=" + d.PIDFile
	for _, command := range []string{"status", "inspect", "reload"} {
		run(0, command, pidFile)
	}
	run(0, append([]string{"restart", pidFile, "--state.directory=/run", "--no-web", "--log.output=/run/pins.log"}, onPins...)...)
	run(0, "stop", pidFile)
	if len(left) > 0 {
		t.Errorf("GPFSEL wasn't compared for %q", left)
	}
}

// foreground runs a command that goes on, and ends it when it has said what it
// is to say.
func (b *bench) foreground(t *testing.T, says []string, args ...string) {
	t.Helper()
	const out = "/run/foreground"
	kit.Must(t, b.WriteFile(t.Context(), out, nil, 0o644))
	argv := append([]string{"sh", "-c", `exec "$@" >` + out + " 2>&1", "sh", "/" + program}, patient(args)...)
	p, err := b.Start(t.Context(), rig.Command{Argv: argv}, nil)
	kit.Must(t, err)
	said := func() []byte {
		text, err := b.ReadFile(t.Context(), out)
		kit.Must(t, err)
		return text
	}
	kit.Eventually(t, func() error {
		text := said()
		for _, words := range says {
			if !bytes.Contains(text, []byte(words)) {
				return fmt.Errorf("dormouse %s says %q, not yet %q", args[0], text, words)
			}
		}
		return nil
	})
	kit.Must(t, p.Kill(t.Context(), unix.SIGTERM))
	if exit, err := p.Wait(t.Context()); err != nil || exit.Status != 0 {
		t.Errorf("dormouse %s ended with %+v, %v, and said\n%s", args[0], exit, err, said())
	}
}

// peripherals are what the lines of onPins are that aren't free.
var peripherals = map[string]string{
	"GPIO2": "SDA of I2C bus 1", "GPIO3": "SCL of I2C bus 1", "GPIO14": "TXD of the serial port", "GPIO15": "RXD of the serial port",
}

// refusesPeripherals wants to be told of each line that a peripheral has, and of
// no other one, what it is and how it is taken all the same.
func refusesPeripherals(t *testing.T, said string) {
	t.Helper()
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(GPIO\d+) \(pin \d+\) is (.+) at present \(.*force=yes`).FindAllStringSubmatch(said, -1) {
		found[m[1]] = m[2]
	}
	if !maps.Equal(found, peripherals) {
		t.Errorf("of the lines it is said that they are %q, want %q:\n%s", found, peripherals, said)
	}
}

// commandNames are all commands that dormouse's help lists.
func commandNames(t *testing.T, b *bench) []string {
	t.Helper()
	stdout, stderr, _ := b.Run(t, "help")
	_, list, _ := strings.Cut(stdout+stderr, "\nCommands:\n")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^  (\w+) `).FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	if len(names) < 12 {
		t.Fatalf("the commands are %q, by\n%s", names, stdout)
	}
	return names
}

// forced takes SDA and TXD with force=yes, each alone: that line is an input
// then, and no other one has changed.
func forced(t *testing.T, b *bench) {
	for pin, line := range map[string]int{"GPIO2": 2, "GPIO14": 14} {
		stdout, stderr, status := b.Run(t, "read", "--sensor=taken=switch,force=yes,transitions=no,pin="+pin)
		if status != 0 {
			t.Errorf("%s: exit status %d: %s%s", pin, status, stdout, stderr)
		}
		want := slices.Clone(b.booted)
		want[line] = rig.Input
		if changed := b.changed(t, want); changed != "" {
			t.Errorf("%s was forced, and besides %s", pin, changed)
		}
		kit.Must(t, b.pi.SetFunction(context.WithoutCancel(t.Context()), line, b.booted[line]))
	}
}
