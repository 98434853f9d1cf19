package all

import (
	"math"
	"strings"
	"syscall"
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
		"iio": {
			{Options: map[string]string{"device": "bme280", "only": sensors.JoinList("temp", "pressure", "humidityrelative")}, World: put(iioDevice, "name", "bme280", "in_temp_input", "25080", "in_pressure_input", "100.653267578", "in_humidityrelative_input", "48800"),
				Faults: becomesAnother(iioDevice, "in_humidityrelative_input")},
			{Options: map[string]string{"device": "1-0048", "only": sensors.JoinList("voltage0", "voltage1")}, World: put("/sys/bus/i2c/devices/1-0048/iio:device0", "name", "ads1115", "in_voltage0_raw", "10000", "in_voltage0_scale", "0.125000000", "in_voltage1_raw", "1", "in_voltage1_scale", "0.125000000"),
				Faults: becomesAnother("/sys/bus/i2c/devices/1-0048/iio:device0", "in_voltage0_raw")},
			// What the kernel shows of a chip, it shows whole. That an attribute
			// alone isn't there is no fault of a wire: a channel that must be
			// there is named in only, and an offset has faults of its own in the
			// driver's tests.
			{Options: map[string]string{"device": "veml6030"}, World: put(iioDevice, "name", "veml6030", "label", "roof", "in_illuminance_raw", "1480", "in_illuminance_scale", "0.125", "in_illuminance_input", "85.248000")},
		},
		"hwmon": {
			{Options: map[string]string{"device": "lm75", "only": sensors.JoinList("temp1", "temp2")}, World: put(hwmonDevice, "name", "lm75", "temp1_input", "-25000", "temp2_input", "127000", "temp1_label", "air"),
				Faults: append(becomesAnother(hwmonDevice, "temp1_input"), sensortest.Fault{Name: "a probe that is open", Break: func(e *sensortest.Env) { e.FS.Put(hwmonDevice+"/temp2_fault", "1\n") }})},
		},
		"power_supply": {
			{Options: map[string]string{"device": "battery", "only": sensors.JoinList("capacity", "voltage_now", "status")}, World: put(supply, "type", "Battery", "present", "1", "capacity", "87", "voltage_now", "4012500", "status", "Discharging"), Faults: []sensortest.Fault{
				{Name: "the battery is taken out", Break: func(e *sensortest.Env) { e.FS.Put(supply+"/present", "0\n") }},
				{Name: "nobody knows what it does", Break: func(e *sensortest.Env) { e.FS.Put(supply+"/status", "Unknown\n") }},
			}},
		},
		"throttled": {
			{World: func(e *sensortest.Env) { e.FS.Firmware = firmware("throttled=0x50005") }, Faults: []sensortest.Fault{
				{Name: "no mailbox", Break: func(e *sensortest.Env) { e.FS.Firmware = nil }},
				{Name: "not allowed", Break: func(e *sensortest.Env) {
					e.FS.Firmware = func(string, uint32, []uint32) error { return syscall.EACCES }
				}},
				{Name: "EIO", Break: func(e *sensortest.Env) { e.FS.Firmware = func(string, uint32, []uint32) error { return syscall.EIO } }},
				{Name: "no answer", Break: func(e *sensortest.Env) { e.FS.Firmware = firmware("") }},
				{Name: "an error in words", Break: func(e *sensortest.Env) { e.FS.Firmware = firmware("error=2 error_msg=\"Invalid arguments\"") }},
				{Name: "half an answer", Break: func(e *sensortest.Env) { e.FS.Firmware = firmware("throttled=0x") }},
			}},
			{World: put(hwmonDevice, "name", "rpi_volt", "in0_lcrit_alarm", "1")},
		},
	})
}

const (
	iioDevice   = "/sys/bus/iio/devices/iio:device0"
	hwmonDevice = "/sys/class/hwmon/hwmon0"
	supply      = "/sys/class/power_supply/battery"
)

// put is a world with these attributes of a device: name, content, …
func put(dir string, files ...string) func(e *sensortest.Env) {
	return func(e *sensortest.Env) {
		for i := 0; i < len(files); i += 2 {
			e.FS.Put(dir+"/"+files[i], files[i+1]+"\n")
		}
	}
}

// becomesAnother gives the device's number to another one, with the same
// attributes, while one of them is read.
func becomesAnother(dir, attribute string) []sensortest.Fault {
	return []sensortest.Fault{{Name: "is another's now", Break: func(e *sensortest.Env) {
		e.FS.OnRead = func(path string) {
			if path == dir+"/"+attribute {
				e.FS.OnRead = nil
				e.FS.Put(dir+"/name", "another\n")
				e.FS.Put(path, "1\n")
			}
		}
	}}}
}

// firmware answers every command with a text.
func firmware(answer string) func(string, uint32, []uint32) error {
	return func(_ string, tag uint32, value []uint32) error {
		if len(value) < 2 {
			return sensors.Errorf(sensors.NoAnswer, "this firmware doesn't support the tag 0x%08x", tag)
		}
		clear(value)
		for i := range len(answer) {
			value[1+i/4] |= uint32(answer[i]) << (8 * (i % 4))
		}
		return nil
	}
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

// TestSimulatedDevices reads what the kernel drives on the simulated board.
func TestSimulatedDevices(t *testing.T) {
	world := sim.Values{RoofIlluminance: 28067, ProcessorTemperature: 52.5, BatteryVoltage: 4.11}
	for _, tc := range []struct {
		driver, device string
		bits           uint32
		want           map[string]float64
	}{
		{"iio", "bh1750", 0, map[string]float64{"illuminance": 28067}},
		{"iio", "3-0023", 0, map[string]float64{"illuminance": 28067}},
		{"hwmon", "pwmfan", 0, map[string]float64{"frequency fan1": 2500. / 60, "duty pwm1": 0.5}},
		{"hwmon", "cooling_fan", 0, map[string]float64{"frequency fan1": 2500. / 60, "duty pwm1": 0.5}},
		{"power_supply", "battery", 0, map[string]float64{"battery": 0.9, "voltage": 4.11, "active discharging": 0}},
		{"throttled", "", 0x50004, map[string]float64{
			"throttled undervoltage now": 0, "throttled capped now": 0, "throttled throttled now": 1, "throttled soft_limit now": 0,
			"throttled undervoltage boot": 1, "throttled capped boot": 0, "throttled throttled boot": 1, "throttled soft_limit boot": 0}},
	} {
		d := sensortest.Driver(t, tc.driver)
		texts := map[string]string{}
		if tc.device != "" {
			texts["device"] = tc.device
		}
		e := sensortest.New(t, d, texts)
		board := sim.New(clock{e}, 1)
		board.SetValues(func(sensors.Instant) sim.Values { return world })
		board.SetThrottled(tc.bits)
		s, err := d.New(t.Context(), simulated{e, board.Files()})
		if err != nil {
			t.Errorf("%s %s: %v", tc.driver, tc.device, err)
			continue
		}
		got, failures, err := sensortest.Sense(t.Context(), t, d, s)
		if err != nil || len(failures) > 0 || len(got) != len(tc.want) {
			t.Errorf("%s %s: %d readings, failures %v, error %v", tc.driver, tc.device, len(got), failures, err)
		}
		for _, r := range got {
			name := strings.Join(append([]string{r.Quantity.Name}, r.Labels...), " ")
			if want, ok := tc.want[name]; !ok || math.Abs(r.Value-want) > 5e-3*max(want, 1e-9) {
				t.Errorf("%s %s: %s is %v, want %v", tc.driver, tc.device, name, r.Value, want)
			}
		}
	}
}
