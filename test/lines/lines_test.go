//go:build system

package lines

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// machine has a header, the real binary, and what answers it. It
// takes a virtual nanosecond for each instruction, so that the kernel's timer
// tick, some thousands of them, is no longer than a few microseconds. While it is
// idle its time goes to the next timer at once: nothing depends on the host's.
func machine(t *testing.T) *rig.Machine {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for name, pkg := range map[string]string{"dormouse": "cmd/dormouse", "responder": "test/lines/responder"} {
		target := filepath.Join(dir, name)
		kit.Must(t, rig.Build(t.Context(), target, pkg))
		files["usr/bin/"+name] = target
	}
	m := rig.Start(t, rig.Options{Files: files, QEMU: []string{"-icount", "shift=0,sleep=off"}})
	_, err := m.AddHeader(t.Context())
	kit.Must(t, err)
	return m
}

// read lets the binary read one sensor while something answers on its lines.
func read(t *testing.T, m *rig.Machine, answer, wiring string) exporter.SensorJSON {
	t.Helper()
	argv := append(append([]string{"responder"}, strings.Split(answer, " ")...), "--", "dormouse", "read", "--format=json", "--sensor=s="+wiring)
	exit := kit.Exec(t, m, argv...)
	var page exporter.Readings
	if err := json.Unmarshal(exit.Stdout, &page); err != nil || len(page.Sensors) != 1 || page.Sensors[0].Up == nil {
		t.Fatalf("%s: exit status %d, %v\n%s%s", wiring, exit.Status, err, exit.Stdout, exit.Stderr)
	}
	s := page.Sensors[0]
	if *s.Up != (exit.Status == 0) {
		t.Errorf("%s: up is %t and the exit status %d", wiring, *s.Up, exit.Status)
	}
	return s
}

func TestAnswersInRealTime(t *testing.T) {
	m := machine(t)
	for _, tc := range []struct {
		name, answer, wiring string
		want                 map[string]float64
		within               float64 // of the value
		reason, err          string
		atLeast              float64 // seconds
	}{
		{"100 Hz", "signal 22 10000 2500", "frequency,pin=GPIO22", map[string]float64{"frequency": 100}, 1e-3, "", "", 1},
		{"500 Hz, more than the kernel's usual buffer", "signal 22 2000 1000", "frequency,pin=GPIO22,window=100ms", map[string]float64{"frequency": 500}, 1e-2, "", "", 0.1},
		{"no signal", "signal 21 10000 2500", "frequency,pin=GPIO22", map[string]float64{"frequency": 0}, 0, "", "", 1},
		{"a quarter", "signal 22 10000 2500", "duty,pin=GPIO22", map[string]float64{"duty": 0.25}, 0.05, "", "", 1},
		{"three quarters, by the other level", "signal 22 10000 2500", "duty,pin=GPIO22,active=low", map[string]float64{"duty": 0.75}, 0.02, "", "", 1},

		{"one metre", "echo 23 24 5824", "echo,trigger=GPIO23,echo=GPIO24", map[string]float64{"distance": 1}, 0.03, "", "", 0.15},
		{"one metre at the second try", "echo 23 24 0,5824", "echo,trigger=GPIO23,echo=GPIO24", map[string]float64{"distance": 1}, 0.03, "", "", 0.2},
		{"no echo", "echo 23 24 0", "echo,trigger=GPIO23,echo=GPIO24,retries=0", nil, 0, "no_answer", "no answer on GPIO24", 0},
		{"nothing in range", "echo 23 24 39000", "echo,trigger=GPIO23,echo=GPIO24,retries=0", nil, 0, "no_answer", "never came back", 0},
		{"too far", "echo 23 24 30000", "echo,trigger=GPIO23,echo=GPIO24,retries=0", nil, 0, "range", "outside 0.02 to 4 m", 0},

		{"AM2302", "dht 4 028c015fee", "dht,pin=GPIO4,model=am2302", map[string]float64{"temperature": 35.1, "humidity": 0.652}, 1e-9, "", "", 2},
		{"below zero", "dht 4 028c806573", "dht,pin=GPIO4", map[string]float64{"temperature": -10.1, "humidity": 0.652}, 1e-9, "", "", 2},
		{"DHT11", "dht 4 350018044d,3500180451", "dht,pin=GPIO4,model=dht11,retries=3", map[string]float64{"temperature": 24.4, "humidity": 0.53}, 1e-9, "", "", 2},
		{"DHT without an answer", "dht 4 ", "dht,pin=GPIO4,retries=0", nil, 0, "no_answer", "no answer on GPIO4", 2},
		{"short frame", "dht 4 028c01", "dht,pin=GPIO4,retries=0", nil, 0, "io", "a short frame of", 2},
		{"bad checksum", "dht 4 028c015fef", "dht,pin=GPIO4,retries=0", nil, 0, "checksum", "has the checksum EF, not EE", 2},
		{"out of range", "dht 4 0200032126", "dht,pin=GPIO4,retries=0", nil, 0, "range", "80.10", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := read(t, m, tc.answer, tc.wiring)
			if got.Reason != tc.reason || !strings.Contains(got.Error, tc.err) || *got.Up != (tc.err == "") {
				t.Errorf("up %t, %q of the class %q; want %q of %q", *got.Up, got.Error, got.Reason, tc.err, tc.reason)
			}
			values := map[string]float64{}
			for _, r := range got.Readings {
				values[r.Quantity] = *r.Value
			}
			if len(values) != len(tc.want) {
				t.Errorf("readings %v, want %v", values, tc.want)
			}
			for quantity, want := range tc.want {
				if v, ok := values[quantity]; !ok || math.Abs(v-want) > tc.within*math.Abs(want) {
					t.Errorf("%s is %v, want %v", quantity, v, want)
				}
			}
			if got.ReadDuration == nil || *got.ReadDuration < tc.atLeast {
				t.Errorf("the read took %v s, %v at least", got.ReadDuration, tc.atLeast)
			}
		})
	}
}
