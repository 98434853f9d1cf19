package all

import (
	"math"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/sensortest"
)

const (
	w1Bus  = "/sys/bus/w1/devices/w1_bus_master1"
	w1Chip = w1Bus + "/28-0316a2793aff"
)

func init() {
	addCases(map[string][]sensortest.Case{
		"w1": {
			{World: w1World, Faults: []sensortest.Fault{
				{Name: "converts for ever", Break: func(e *sensortest.Env) {
					e.FS.OnWrite = func(path, _ string) {
						e.FS.Put(path, "-1\n")
						e.FS.Put(w1Chip+"/temperature", "")
					}
				}},
				{Name: "power-on value", Break: func(e *sensortest.Env) {
					e.FS.Put(w1Chip+"/temperature", "85000\n")
					e.FS.Put(w1Chip+"/w1_slave", "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n")
				}},
				{Name: "too little power", Break: func(e *sensortest.Env) { e.FS.Put(w1Chip+"/temperature", "127937\n") }},
				{Name: "data line shorted", Break: func(e *sensortest.Env) {
					e.FS.Put(w1Chip+"/temperature", "0\n")
					e.FS.Put(w1Chip+"/w1_slave", "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n")
				}},
				{Name: "chip pulled out during the conversion", Break: func(e *sensortest.Env) {
					e.FS.OnWrite = func(string, string) {
						e.FS.Remove(w1Chip + "/temperature")
						e.FS.Remove(w1Chip + "/w1_slave")
					}
				}},
			}},
			// Linux before 5.10, whose checksum may fail.
			{World: oldW1World, Faults: []sensortest.Fault{
				{Name: "checksum", Break: func(e *sensortest.Env) {
					e.FS.Put(w1Chip+"/w1_slave", "a1 01 4b 46 7f ff 0f 10 b8 : crc=57 NO\n91 01 4b 46 7f ff 0f 10 b8 t=25062\n")
				}},
			}},
		},
		"thermal": {{World: thermalWorld, Faults: []sensortest.Fault{
			{Name: "is another's now", Break: func(e *sensortest.Env) {
				reads := 0
				e.FS.OnRead = func(path string) {
					if reads++; reads == 2 {
						e.FS.Put("/sys/class/thermal/thermal_zone0/type", "iwlwifi_1\n")
						e.FS.Put("/sys/class/thermal/thermal_zone0/temp", "31000\n")
					}
				}
			}},
			{Name: "is off", Break: func(e *sensortest.Env) { e.FS.Put("/sys/class/thermal/thermal_zone0/temp", "-274000\n") }},
		}}},
	})
}

func w1World(e *sensortest.Env) {
	e.FS.Put(w1Bus+"/therm_bulk_read", "0\n")
	e.FS.Put(w1Chip+"/temperature", "25062\n")
	e.FS.Put(w1Chip+"/w1_slave", "91 01 4b 46 7f ff 0f 10 b8 : crc=b8 YES\n91 01 4b 46 7f ff 0f 10 b8 t=25062\n")
	e.FS.OnWrite = func(path, _ string) { e.FS.Put(path, "1\n") }
}

func oldW1World(e *sensortest.Env) {
	w1World(e)
	e.FS.Remove(w1Bus + "/therm_bulk_read")
	e.FS.Remove(w1Chip + "/temperature")
}

func thermalWorld(e *sensortest.Env) {
	e.FS.Put("/sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
	e.FS.Put("/sys/class/thermal/thermal_zone0/temp", "48312\n")
}

// simulated is an environment with the simulated board's files.
type simulated struct {
	*sensortest.Env
	files sensors.Files
}

func (s simulated) Files() sensors.Files { return s.files }

// TestSimulatedFiles reads the simulated board's files with the drivers, as
// TestSimulatedChips does its chips.
func TestSimulatedFiles(t *testing.T) {
	for _, tc := range []struct {
		driver string
		pond   float64
		want   float64
	}{
		{"w1", 12.5, 12.5},
		{"w1", -10.125, -10.125},
		{"w1", 0, 0},
		{"w1", 85, 85},
	} {
		d := sensortest.Driver(t, tc.driver)
		e := sensortest.New(t, d, nil)
		board := sim.New(clock{e}, 1)
		board.SetValues(func(sensors.Instant) sim.Values { return sim.Values{PondTemperature: tc.pond} })
		s, err := d.New(t.Context(), simulated{e, board.Files()})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			readings, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil || len(failures) > 0 {
				t.Fatalf("%s at %v: failures %v, error %v", tc.driver, tc.want, failures, err)
			}
			if got := sensortest.Value(t, readings, sensors.Temperature); math.Abs(got-tc.want) > 1e-3 {
				t.Errorf("%s is %v, want %v", tc.driver, got, tc.want)
			}
			e.NextWake(60e9)
		}
	}
	d := sensortest.Driver(t, "thermal")
	e := sensortest.New(t, d, nil)
	s, err := d.New(t.Context(), simulated{e, sim.New(clock{e}, 1).Files()})
	if err != nil {
		t.Fatal(err)
	}
	readings, _, err := sensortest.Sense(t.Context(), t, d, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := sensortest.Value(t, readings, sensors.Temperature); got < 20 || got > 85 {
		t.Errorf("the processor has %v °C", got)
	}
}
