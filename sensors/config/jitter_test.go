package config

import (
	"fmt"
	"testing"
	"time"
)

// schedules loads sensors on a machine.
func schedules(t *testing.T, src Source) []Schedule {
	t.Helper()
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	var all []Schedule
	for _, s := range c.Sensors {
		all = append(all, s.Schedule)
	}
	return all
}

func TestJitterOfAMachine(t *testing.T) {
	flag := func(id string, flags ...string) []Schedule {
		t.Helper()
		return schedules(t, Source{SensorFlags: flags, MachineID: id})
	}
	// What this machine does may not change with a new version: worked out
	// with openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef, whose
	// first eight bytes are ee4a378ce3d6381c.
	for _, c := range []struct {
		jitter string
		want   time.Duration
	}{
		{"0s", 0},
		{"1ns", 0},
		{"1ms", 0},
		{"1m", 53532 * time.Millisecond},
		{"30s", 23532 * time.Millisecond},
		{"1h", 2453532 * time.Millisecond},
	} {
		s := flag(machineID, "a=thermal,every=2h,jitter="+c.jitter)[0]
		if s.Moved != c.want {
			t.Errorf("jitter %s moves by %v, want %v", c.jitter, s.Moved, c.want)
		}
	}
	// Neither the sensor's name nor its interval, place or driver matters.
	all := flag(machineID, "a=thermal,jitter=1m", "b=bme280,every=1h,phase=3m,jitter=1m", `c=thermal,at="0 4 * * *",jitter=1m`)
	for _, s := range all {
		if s.Moved != all[0].Moved || s.Jitter != time.Minute {
			t.Errorf("%+v isn't moved like %+v", s, all[0])
		}
	}
	if other := flag("fedcba9876543210fedcba9876543210", "a=thermal,jitter=1m")[0]; other.Moved == all[0].Moved {
		t.Errorf("another machine is moved by %v, too", other.Moved)
	}
}

// The amounts of a thousand machines fall evenly into twenty parts of a
// minute: by Pearson's test, in which evenly drawn amounts exceed 43.8 once in
// a thousand times (chi-squared, 19 degrees of freedom). Small jitters too.
func TestJitterSpreadsAFleet(t *testing.T) {
	for _, most := range []time.Duration{time.Minute, 20 * time.Millisecond, 24 * time.Hour} {
		const machines, parts = 1000, 20
		var count [parts]int
		for i := range machines {
			s := schedules(t, Source{MachineID: fmt.Sprintf("%032x", i), SensorFlags: []string{fmt.Sprintf("a=thermal,every=2d,jitter=%v", most)}})[0]
			if s.Moved < 0 || s.Moved >= most || s.Moved%time.Millisecond != 0 {
				t.Fatalf("jitter %v moves by %v", most, s.Moved)
			}
			count[s.Moved*parts/most]++
		}
		chi := 0.0
		for _, n := range count {
			const even = float64(machines) / parts
			chi += (float64(n) - even) * (float64(n) - even) / even
		}
		if chi > 43.8 {
			t.Errorf("jitter %v: chi-squared is %.1f of %v", most, chi, count)
		}
	}
}

// Amounts of jitters of which one is a multiple of the other differ by a
// multiple, on every machine.
func TestJittersThatDivideEachOther(t *testing.T) {
	for i := range 100 {
		s := schedules(t, Source{MachineID: fmt.Sprintf("%032x", i), SensorFlags: []string{"a=thermal,jitter=30s", "b=thermal,every=1h,jitter=10m"}})
		if s[1].Moved%(30*time.Second) != s[0].Moved {
			t.Errorf("machine %d is moved by %v and %v", i, s[0].Moved, s[1].Moved)
		}
	}
}

func TestJitterWithoutAMachineID(t *testing.T) {
	load := func(id, host, flag string) (*Config, error) {
		return Load(Source{File: "f", Data: []byte("sensors:\n  - {name: a, driver: thermal, jitter: 1m}\n"), SensorFlags: []string{flag}, MachineID: id, HostName: host})
	}
	first, err := load("", "shed", "b=thermal,jitter=1m")
	if err != nil {
		t.Fatal(err)
	}
	const warning = "f:2: sensor a: jitter: is computed from the host name, shed, because /etc/machine-id contains no id: machines with the same name read at the same time"
	if len(first.Warnings) != 1 || first.Warnings[0].Error() != warning {
		t.Errorf("warnings are %v, want one: %s", first.Warnings, warning)
	}
	other, err := load("", "barn", "b=thermal,jitter=1m")
	if err != nil {
		t.Fatal(err)
	}
	if first.Sensors[0].Schedule.Moved == other.Sensors[0].Schedule.Moved {
		t.Error("another name moves by the same amount")
	}
	// machine-id(5): empty until the first boot is over, or "uninitialized".
	for _, id := range []string{"\n", "uninitialized\n", "0123456789ABCDEF0123456789ABCDEF\n", "0123456789abcdef\n", "\xff"} {
		c, err := load(id, "shed", "b=thermal,jitter=1m")
		if err != nil {
			t.Fatal(err)
		}
		if c.Sensors[1].Schedule.Moved != first.Sensors[0].Schedule.Moved || len(c.Warnings) != 1 {
			t.Errorf("%q is taken for an id", id)
		}
	}
	const problem = "f:2: sensor a: jitter: /etc/machine-id contains no id and the machine has no host name, so its jitter can't be computed: create an id with systemd-machine-id-setup, or dbus-uuidgen --ensure=/etc/machine-id"
	if c, err := load("", "", "b=thermal"); c != nil || err == nil || err.Error() != problem {
		t.Errorf("Load = %v, %v, want %s", c, err, problem)
	}
	// Who has no jitter needs no id.
	if c := schedules(t, Source{SensorFlags: []string{"a=thermal,jitter=0s"}}); c[0].Moved != 0 {
		t.Errorf("%+v", c)
	}
}

func TestJitterIn(t *testing.T) {
	const defaults = "defaults: {every: 1h, jitter: 10m}\nsensors:\n  - {name: a, driver: thermal}\n"
	for _, c := range []struct {
		name, text string
		jitter     time.Duration // zero: an error
		problem    string
	}{
		{"the defaults", defaults, 10 * minute, ""},
		{"the sensor, over the defaults", defaults[:len(defaults)-2] + ", jitter: 5m}\n", 5 * minute, ""},
		{"the defaults, for its own at", defaults[:len(defaults)-2] + ", at: \"0 3 * * *\"}\n", 10 * minute, ""},
		{"the defaults, too much for its own every", defaults[:len(defaults)-2] + ", every: 10m}\n", 0, "f:1: sensor a: jitter: 10m isn't less than every, 10m"},
		{"defaults with at", "defaults: {at: \"0 3 * * *\", jitter: 1d}\nsensors:\n  - {name: a, driver: thermal}\n", 24 * time.Hour, ""},
		{"an interval of days", "sensors:\n  - {name: a, driver: thermal, every: 7d, jitter: 2d}\n", 48 * time.Hour, ""},
		{"with at, more than a day", "sensors:\n  - {name: a, driver: thermal, at: \"0 3 * * *\",\n     jitter: 2d}\n", 0, "f:3: sensor a: jitter: 2d is more than 1d, the maximum with at"},
		{"no duration", "sensors:\n  - {name: a, driver: thermal, jitter: 30}\n", 0, `f:2: sensor a: jitter: "30" has no unit: write 30s for seconds or 30m for minutes`},
		{"defaults, no duration", "defaults: {jitter: -3s}\nsensors:\n  - {name: a, driver: thermal}\n", 0, `f:1: defaults: jitter: "-3s" is outside 0s to 366d`},
	} {
		cfg, err := Load(Source{File: "f", Data: []byte(c.text), MachineID: machineID})
		switch {
		case err != nil && err.Error() != c.problem:
			t.Errorf("%s: %v, want %s", c.name, err, c.problem)
		case err == nil && (c.problem != "" || cfg.Sensors[0].Schedule.Jitter != c.jitter):
			t.Errorf("%s: %+v", c.name, cfg.Sensors[0].Schedule)
		}
	}
	_, err := Load(Source{SensorFlags: []string{"a=thermal,every=1m,jitter=1h"}, MachineID: machineID})
	if want := "--sensor a=…: jitter: 1h isn't less than every, 1m"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
