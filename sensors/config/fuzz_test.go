package config

import (
	"errors"
	"os"
	"testing"

	"example.org/dormouse/sensors"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checkLoad holds what comes of any text against what is promised: every
// problem has a place and a text; a configuration is complete, and reading the
// same again gives the same.
func checkLoad(t *testing.T, src Source) {
	t.Helper()
	c, err := Load(src)
	again, err2 := Load(src)
	if err != nil {
		var all Problems
		if c != nil || !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("Load = %v, %T", c, err)
		}
		for _, p := range all {
			if p.Origin == (Origin{}) || p.Origin.String() == "" || p.Origin.File != "" && p.Origin.Line < 1 || p.Err == nil || p.Err.Error() == "" {
				t.Errorf("problem without a place or a text: %#v", p)
			}
		}
		if err2 == nil || err2.Error() != err.Error() {
			t.Errorf("the second time the error is\n%v\nafter\n%v", err2, err)
		}
		return
	}
	if err2 != nil || !cmp.Equal(c, again, same) {
		t.Errorf("the second time it is another: %v", err2)
	}
	if len(c.Sensors) == 0 && len(c.Warnings) == 0 {
		t.Error("no sensors, and neither an error nor a warning")
	}
	names := map[string]bool{}
	for _, s := range c.Sensors {
		if !sensors.ValidName(s.Name) || names[s.Name] || s.Driver == nil || s.Options == nil || s.Timeout <= 0 || s.Origin == (Origin{}) {
			t.Errorf("sensor %+v", s)
		}
		names[s.Name] = true
		if (s.Schedule.Every > 0) == (s.Schedule.At != nil) || s.Schedule.Phase > 0 && s.Schedule.Phase >= s.Schedule.Every {
			t.Errorf("schedule %+v", s.Schedule)
		}
		if j := s.Schedule.Jitter; j > 0 && (s.Schedule.Every > 0 && j >= s.Schedule.Every || j > mostJitter && s.Schedule.At != nil) ||
			s.Schedule.Moved < 0 || s.Schedule.Moved > 0 && s.Schedule.Moved >= j || s.Schedule.Moved%time.Millisecond != 0 {
			t.Errorf("schedule %+v", s.Schedule)
		}
		if (s.Rail == nil) != (s.Power == "") || s.Wiring() == "" || !s.SameDevice(s) {
			t.Errorf("sensor %+v", s)
		}
		for _, p := range s.Channels {
			if n := len(p.Calibrate.Points); n == 1 || p.Filter.Median < 0 || p.Filter.Median > 0 && p.Filter.Median%2 == 0 {
				t.Errorf("processing %+v", p)
			}
		}
	}
}

func FuzzSensorFlag(f *testing.F) {
	for _, s := range []string{
		"greenhouse=bme280,bus=1,addr=0x76,power=GPIO17,warmup=50ms,label.room=x",
		`beds=ads1115,addr=0x48,a0.quantity=moisture,a0.points="2.8:0 1.2:1",a1.name=battery,a1.scale=2,channels="a0 a1"`,
		`backup=command,argv="/bin/x -a 'b c'",output=none,at="30 3 * * *",timeout=10m,env.A=b`,
		"rain=pulse,pin=BOARD15,quantity=precipitation,per-pulse=0.2794mm", `a=thermal,zone="\"\\"`, "a=hwmon,path=/x,t.offset=1", "=", "a=", `a="`, "a=thermal,=",
		"a=thermal,at=1-0/0 * * * *", "a=thermal,jitter=90s,phase=4m", "a=thermal,at=0 3 * * *,jitter=1ns", "a=thermal,at=*/ * * * *", "a=thermal,at=1/ 2- -3 , a", "a=dewpoint,of=a", "a=nosuch,power=GPIO17",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		checkLoad(t, Source{SensorFlags: []string{a, b}, RailFlags: []string{b}, Every: a, HostName: b})
		checkLoad(t, Source{SensorFlags: []string{a}, MachineID: machineID})
	})
}

func FuzzYAML(f *testing.F) {
	if data, err := os.ReadFile("testdata/wrong.yml"); err != nil {
		f.Fatal(err)
	} else {
		f.Add(data)
	}
	for _, s := range []string{
		"sensors: [{name: a, driver: thermal}]", "sensors:\n- name: a\n  driver: ads1115\n  channels: {a0: {points: [[0, 1], [2, 3]]}}\n",
		"defaults: {at: \"*/5 * * * *\", labels: {a: b}}\nsensors: [{name: a, driver: command, argv: [/bin/true], env: {A: b}}]\nrails: [{name: v, line: 4}]",
		"defaults: {every: 1m, jitter: 5s}\nrails:\n- {name: v, line: 4, settle: 1ms, max-on: 1m}\n- {name: w, line: 5, after: [v], active: low}\n" +
			"sensors:\n- {name: a, driver: nosuch, power: w}\n- {name: b, driver: bme280, power: v, warmup: 5ms, drop: [0, 5]}\n- {name: c, driver: dewpoint, of: b, clamp: 1:2}\n" +
			"- {name: d, driver: relay, out: 6}\ntasks: [{name: e, argv: [/x], at: 0 3 * * *}]\nstop-tasks: wait",
		"a: &x [*x]", "{", "---\n---\n", "? [a]\n: b", "a: !!binary x", "sensors:", "- - - a", "\xff\xfea",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkLoad(t, Source{File: "f.yml", Data: data, MachineID: machineID})
	})
}
