package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is wrong with the input is told at once, all of it, with where it
// stands and what to do, and ends with the status for a wrong configuration.
func TestWrongInput(t *testing.T) {
	tests := []struct {
		name string
		yaml string // of wrong.yml; the file isn't there where this is empty
		args []string
		code int
		want []string
	}{
		{name: "unknown driver", args: []string{"--sensor=a=bme208"}, code: 6,
			want: []string{"--sensor", "sensor a", `there is no driver "bme208" (did you mean bme280?)`}},
		{name: "unknown driver in the file", yaml: "sensors:\n  - {name: a, driver: sht40x}\n", code: 6,
			want: []string{"wrong.yml:2", `"sht40x" (did you mean sht40?)`}},
		{name: "unknown driver with a supply", args: []string{"--sensor=a=bme208,power=GPIO17"}, code: 6,
			want: []string{`there is no driver "bme208" (did you mean bme280?)`}},
		{name: "unknown key", args: []string{"--sensor=a=bme280,adr=0x76"}, code: 6,
			want: []string{"adr", "did you mean addr?"}},
		{name: "unknown key in the file", yaml: "sensors:\n  - name: a\n    driver: bme280\n    retrys: 3\n", code: 6,
			want: []string{"wrong.yml:4", "retrys", "did you mean retries?"}},
		{name: "bare address", args: []string{"--sensor=a=bme280,addr=76"}, code: 6,
			want: []string{"0x76", "0x4c", "with 0x"}},
		{name: "bad address", args: []string{"--sensor=a=bme280,addr=0x48"}, code: 6,
			want: []string{"can't have address 0x48", "0x76, 0x77"}},
		{name: "bad line", args: []string{"--sensor=a=switch,pin=GPIO99"}, code: 6,
			want: []string{"GPIO99", "GPIO0 to GPIO"}},
		{name: "a power pin", args: []string{"--sensor=a=switch,pin=BOARD1"}, code: 6,
			want: []string{"BOARD1", "3V3"}},
		{name: "two drivers on one address", args: []string{"--sensor=a=tmp102,addr=0x48", "--sensor=b=ads1115,addr=0x48"}, code: 6,
			want: []string{"0x48", "tmp102", "ads1115"}},
		{name: "one line twice", args: []string{"--sensor=a=switch,pin=GPIO17", "--sensor=b=pulse,pin=BOARD11"}, code: 6,
			want: []string{"GPIO17 (pin 11)"}},
		{name: "one line by two names", args: []string{"--board=sim", "--sensor=a=switch,pin=GPIO17", "--sensor=b=pulse,pin=gpiochip0:17"}, code: 6,
			want: []string{"gpiochip0:17 is taken by sensor a"}},
		{name: "a counter behind a rail with a limit", args: []string{"--sensor=a=pulse,pin=GPIO22,power=r", "--rail=r=GPIO17,max-on=1m"}, code: 6,
			want: []string{"power", "GPIO22 (pin 15) is held between reads", "max-on"}},
		{name: "duplicate names", yaml: "sensors:\n  - {name: a, driver: bme280}\n  - {name: a, driver: sht4x}\n", code: 6,
			want: []string{"wrong.yml:3", "wrong.yml:2"}},
		{name: "bad duration", args: []string{"--sensor=a=bme280,every=5"}, code: 6,
			want: []string{"every", `"5" has no unit`, "5s", "5m"}},
		{name: "bad unit", args: []string{"--sensor=a=pulse,pin=17,quantity=precipitation,per-pulse=0.28kg"}, code: 6,
			want: []string{"per-pulse", `"kg"`, "mm"}},
		{name: "unreadable file", args: []string{"--config.file=missing.yml"}, code: 6,
			want: []string{"--config.file", "missing.yml", "no such file"}},
		{name: "a directory", args: []string{"--config.file=."}, code: 6,
			want: []string{"--config.file", "is a directory"}},
		{name: "not YAML", yaml: "sensors: [{name: a,\n", code: 6, want: []string{"wrong.yml"}},
		{name: "YAML that means something else", yaml: "sensors:\n  - {name: a, driver: bme280, at: */5 * * * *}\n", code: 6,
			want: []string{"wrong.yml:2"}},
		{name: "a list", yaml: "- a\n- b\n", code: 6, want: []string{"wrong.yml:1"}},
		{name: "nothing", yaml: "# nothing yet\n", code: 6, want: []string{"no sensor is configured", "--sensor"}},
		{name: "bad --every", args: []string{"--sensor=a=bme280", "--every=often"}, code: 6, want: []string{"--every", "often"}},
		{name: "reserved label", args: []string{"--sensor=a=bme280,label.instance=x"}, code: 6, want: []string{"instance"}},
		{name: "all at once", yaml: "sensors:\n  - {name: a, driver: bme208}\n  - {name: b, driver: bme280, addr: 76}\n",
			args: []string{"--sensor=c=switch", "--rail=r=GPIO99"}, code: 6,
			want: []string{"bme208", "0x4c", "pin", "GPIO99"}},
		{name: "unknown flag", args: []string{"--senzor=a=bme280"}, code: 2, want: []string{"senzor", "--help"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t)
			args := test.args
			if test.yaml != "" {
				p.write("wrong.yml", test.yaml)
				args = append([]string{"--config.file=wrong.yml"}, args...)
			}
			// What check finds, no other command accepts.
			for _, command := range []string{"check", "read", "run", "start"} {
				stdout, stderr, code := p.run(append([]string{command}, args...)...)
				if code != test.code {
					t.Errorf("%s: exit status %d, want %d\n%s%s", command, code, test.code, stdout, stderr)
				}
				for _, want := range test.want {
					if !strings.Contains(stderr, want) {
						t.Errorf("%s doesn't say %q:\n%s", command, want, stderr)
					}
				}
			}
		})
	}
}

// A pidfile that can't be had is told with its flag, by whoever needs it.
func TestWrongPIDFile(t *testing.T) {
	p := newPlace(t)
	p.write("file", "")
	if err := os.Symlink("file", filepath.Join(p.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command, path string
		want          []string
	}{
		{"start", "link", []string{"link is a symbolic link", "remove it"}},
		{"run", "link", []string{"link is a symbolic link", "remove it"}},
		{"start", ".", []string{"is a directory", "name a file in it"}},
		{"run", "none/none/pid", []string{"no such file", "make the directory"}},
		{"start", "/proc/self/pid", []string{"no such file", "name another place"}},
		{"stop", "link", []string{"unknown: open", "too many levels of symbolic links"}},
		{"reload", "link", []string{"unknown: open", "too many levels of symbolic links"}},
	} {
		args := []string{c.command, "--pid-file=" + c.path}
		if c.command == "start" || c.command == "run" {
			args = append(args, "--board=sim", "--sensor=a=sht4x", "--web.listen-address=127.0.0.1:0")
		}
		stdout, stderr, code := p.run(args...)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "dormouse: --pid-file: ") {
			t.Errorf("%s with %s: exit status %d\n%s%s", c.command, c.path, code, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s with %s doesn't say %q:\n%s", c.command, c.path, want, stderr)
			}
		}
	}
}
