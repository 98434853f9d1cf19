package kernel

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

const hwmonDir = "/sys/class/hwmon/hwmon3"

func hwmonDevice(t testing.TB, name string, files ...string) *sensortest.Env {
	t.Helper()
	e := sensortest.New(t, sensortest.Driver(t, "hwmon"), map[string]string{"device": name})
	attributes(e, hwmonDir, append([]string{"name", name}, files...)...)
	return e
}

func TestHwmonUnits(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files []string
		want  string
	}{
		{"lm75", []string{"temp1_input", "-25000", "temp1_max", "80000", "temp1_max_hyst", "75000", "update_interval", "100"}, "sensor_temperature_celsius channel=temp1 -25"},
		{"zero", []string{"temp1_input", "0"}, "sensor_temperature_celsius channel=temp1 0"},
		{"sht4x", []string{"humidity1_input", "91000", "temp1_input", "-3250"}, "sensor_humidity_ratio channel=humidity1 0.91\nsensor_temperature_celsius channel=temp1 -3.25"},
		{"ina219", []string{"in0_input", "20", "in1_input", "11980", "curr1_input", "-10000", "power1_input", "119800000", "shunt_resistor", "2000"},
			"sensor_current_amperes channel=curr1 -10\nsensor_power_watts channel=power1 119.8\nsensor_voltage_volts channel=in0 0.02\nsensor_voltage_volts channel=in1 11.98"},
		{"averages", []string{"in0_average", "3300", "power1_average", "2000000", "power1_cap", "9", "curr2_input", "5", "curr2_average", "7"},
			"sensor_current_amperes channel=curr2 0.005\nsensor_power_watts channel=power1 2\nsensor_voltage_volts channel=in0 3.3"},
		{"pwmfan", []string{"fan1_input", "3000", "pwm1", "128", "pwm1_enable", "1", "fan1_label", "cpu"}, "sensor_duty_ratio channel=pwm1 0.501960784\nsensor_frequency_hertz channel=fan1 50"},
		{"energy and clocks", []string{"energy1_input", "5000000", "freq1_input", "1500000000"}, "sensor_energy_joules_total channel=energy1 5\nsensor_frequency_hertz channel=freq1 1.5e+09"},
		{"no faults", []string{"temp1_input", "1000", "temp1_fault", "0", "temp10_input", "10000", "temp2_input", "2000"},
			"sensor_temperature_celsius channel=temp1 1\nsensor_temperature_celsius channel=temp10 10\nsensor_temperature_celsius channel=temp2 2"},
		{"what isn't a value", []string{"temp1_input", "1000", "intrusion0_alarm", "1", "in3_label", "x", "fan7_min", "100", "temp2_crit", "90000", "beep_enable", "0", "pwm2_freq", "25000"},
			"sensor_temperature_celsius channel=temp1 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "hwmon"), hwmonDevice(t, tc.name, tc.files...))
			if err != nil || len(failures) > 0 {
				t.Fatalf("failures %v, error %v", failures, err)
			}
			if got := series(readings); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestHwmonFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		files  []string
		errno  error // of temp1_input
		reason sensors.Reason
		errHas string
	}{
		{"a probe that is open", []string{"temp1_input", "127000", "temp1_fault", "1"}, nil, sensors.NoAnswer, "reports a fault of temp1 (temp1_fault is 1)"},
		{"a flag that is garbage", []string{"temp1_input", "127000", "temp1_fault", "yes"}, nil, sensors.IO, `"yes"`},
		{"switched off", []string{"temp1_input", "1"}, syscall.ENODATA, sensors.NotReady, "_enable"},
		{"before the first conversion", []string{"temp1_input", "1"}, syscall.EAGAIN, sensors.NotReady, "no result yet"},
		{"no channel", []string{"in0_lcrit_alarm", "0"}, nil, sensors.NoAnswer, "has no channel that can be read"},
		{"impossible", []string{"temp1_input", "-274000"}, nil, sensors.OutOfRange, "outside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := hwmonDevice(t, "chip", tc.files...)
			if tc.errno != nil {
				e.FS.Break(hwmonDir+"/temp1_input", tc.errno)
			}
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "hwmon"), e)
			if len(failures) > 0 {
				err = failures[0].Err
			}
			if len(readings) > 0 || sensors.ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), tc.errHas) {
				t.Errorf("got %s, %v (%s), want %s and %q", series(readings), err, sensors.ReasonOf(err), tc.reason, tc.errHas)
			}
		})
	}
}

// TestHwmonLeavesW1: hwmon has the value of a 1-Wire thermometer, and not what
// tells a failed conversion from one.
func TestHwmonLeavesW1(t *testing.T) {
	for _, value := range []string{"85000", "0", "21500"} {
		e := hwmonDevice(t, "w1_slave_temp", "temp1_input", value)
		readings, _, err := sensortest.Read(t, sensortest.Driver(t, "hwmon"), e)
		if len(readings) > 0 || sensors.ReasonOf(err) != sensors.Identity || !strings.Contains(fmt.Sprint(err), "driver w1") {
			t.Errorf("%s: got %s, %v", value, series(readings), err)
		}
	}
}

// By its address a device is found below the bus's own directory.
func TestHwmonByAddress(t *testing.T) {
	e := sensortest.New(t, sensortest.Driver(t, "hwmon"), map[string]string{"device": "1-0048"})
	for i, address := range []string{"1-0048", "1-0049"} {
		for _, dir := range []string{"/sys/class/hwmon/hwmon%d", "/sys/bus/i2c/devices/" + address + "/hwmon/hwmon%d"} {
			attributes(e, fmt.Sprintf(dir, i), "name", "lm75", "temp1_input", fmt.Sprint(1000*(i+1)))
		}
	}
	readings, _, err := sensortest.Read(t, sensortest.Driver(t, "hwmon"), e)
	if got := series(readings); err != nil || got != "sensor_temperature_celsius channel=temp1 1" {
		t.Errorf("got %s, %v", got, err)
	}
}
