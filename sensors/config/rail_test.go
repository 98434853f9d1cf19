package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRailsOrderAndLimit(t *testing.T) {
	data := `rails:
  - {name: probes, line: 4, settle: 5ms, max-on: 3s, after: [boost, level]}
  - {name: boost, line: 5, settle: 20ms, after: main}
  - {name: level, line: 6, settle: 1ms, after: main}
  - {name: main, line: 7, settle: 100ms}
sensors: [{name: a, driver: thermal, power: probes, warmup: 2s}]`
	c, err := Load(Source{File: "f", Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Rails[0]
	// main is waited for once, though two ways lead to it.
	if p.MaxOn != 3*time.Second || !slices.Equal(p.After, []string{"boost", "level"}) || p.Lead != 121*time.Millisecond {
		t.Errorf("probes is %+v", p)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("rails that others wait for are in use, but: %v", c.Warnings)
	}
	flags, err := Load(Source{RailFlags: []string{`probes=4,after="boost main"`, "boost=5", "main=7"}, SensorFlags: []string{"a=thermal,power=probes"}})
	if err != nil || !slices.Equal(flags.Rails[0].After, []string{"boost", "main"}) {
		t.Errorf("by flags: %v, %v", flags, err)
	}
}

func TestWrongRails(t *testing.T) {
	for _, tt := range []struct{ name, rails, want string }{
		{"circle", "  - {name: a, line: 4, after: b}\n  - {name: b, line: 5, after: a}\n",
			"f:3: rail b: after: the rails wait for each other in a cycle, a (f:2) after b (f:3) after a: one of them must come first"},
		{"longer circle", "  - {name: a, line: 4, after: b}\n  - {name: b, line: 5, after: c}\n  - {name: c, line: 6, after: b}\n",
			"f:4: rail c: after: the rails wait for each other in a cycle, b (f:3) after c (f:4) after b: one of them must come first"},
		{"itself", "  - {name: a, line: 4, after: a}\n", "f:2: rail a: after: is the rail itself"},
		{"unknown", "  - {name: a, line: 4, after: [main]}\n  - {name: mian, line: 5}\n",
			`f:2: rail a: after: there is no rail "main" (did you mean mian?): it names rails that are defined, not lines`},
		{"line", "  - {name: a, line: 4, after: GPIO5}\n", `f:2: rail a: after: there is no rail "GPIO5": it names rails that are defined, not lines`},
		{"never", "  - {name: a, line: 4, max-on: 0s}\n", "f:2: rail a: max-on: 0s would never let it be on: remove max-on for no limit"},
		{"no unit", "  - {name: a, line: 4, max-on: 5}\n", `f:2: rail a: max-on: "5" has no unit: write 5s for seconds or 5m for minutes`},
		{"settles longer", "  - {name: a, line: 4, settle: 2s, max-on: 2s}\n", "f:2: rail a: max-on: 2s is not longer than settle, 2s: it would be switched off before anything is read"},
		{"warms up longer", "  - {name: a, line: 4, max-on: 1s}\n", "f:3: sensor s: warmup: 1s is not shorter than max-on of rail a (f:2), 1s: the rail would be switched off before the sensor is read"},
		{"rail before too short", "  - {name: a, line: 4, after: b, settle: 1s}\n  - {name: b, line: 5, settle: 1s, max-on: 2s}\n",
			"f:2: rail a: after: max-on of rail b (f:3), 2s, ends before both have settled"},
		{"misspelt", "  - {name: a, line: 4, maxon: 2s}\n", "f:2: rail a: maxon: is not a key of a rail (did you mean max-on?): its keys are active, settle, max-on, after, force"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Source{File: "f", Data: []byte("rails:\n" + tt.rails + "sensors: [{name: s, driver: thermal, power: a, warmup: 1s}]\n")})
			if err == nil {
				t.Fatal("no error")
			}
			if !slices.Contains(strings.Split(err.Error(), "\n"), tt.want) {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

// A driver whose chip may not lose its supply takes neither a rail nor a line.
func TestDriverWithoutRail(t *testing.T) {
	for _, power := range []string{"main", "GPIO17", "nosuch"} {
		_, err := Load(Source{RailFlags: []string{"main=4"}, SensorFlags: []string{"a=bound,power=" + power, "b=thermal,power=main"}})
		want := "--sensor a=…: power: driver bound takes no rail: the chip is set up only once"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
