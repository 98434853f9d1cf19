package kernel

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

const supplyDir = "/sys/class/power_supply/battery"

func supply(t testing.TB, device string, files ...string) *sensortest.Env {
	t.Helper()
	e := sensortest.New(t, sensortest.Driver(t, "power_supply"), map[string]string{"device": device})
	attributes(e, supplyDir, files...)
	return e
}

// max17048 is what Linux' driver shows of the gauge on a UPS HAT.
var max17048 = []string{"type", "Battery", "present", "1", "online", "1", "capacity", "87", "voltage_now", "4012500", "status", "Discharging", "model_name", "max17048"}

func TestPowerSupplyUnits(t *testing.T) {
	for _, tc := range []struct {
		name, device string
		files        []string
		want         string
	}{
		{"a gauge", "battery", max17048, "sensor_active channel=discharging 1\nsensor_battery_ratio 0.87\nsensor_voltage_volts 4.0125"},
		{"by its model", "max17048", max17048, "sensor_active channel=discharging 1\nsensor_battery_ratio 0.87\nsensor_voltage_volts 4.0125"},
		{"by its path", supplyDir, max17048, "sensor_active channel=discharging 1\nsensor_battery_ratio 0.87\nsensor_voltage_volts 4.0125"},
		{"an empty one", "battery", []string{"type", "Battery", "capacity", "0", "status", "Charging"}, "sensor_active channel=discharging 0\nsensor_battery_ratio 0"},
		{"the mains", "battery", []string{"type", "Mains", "online", "0"}, "sensor_active channel=online 0"},
		{"USB", "battery", []string{"type", "USB", "online", "2", "voltage_now", "5100000", "current_now", "900000"}, "sensor_active channel=online 1\nsensor_current_amperes 0.9\nsensor_voltage_volts 5.1"},
		{"everything", "battery", []string{"type", "Battery", "current_now", "-1500000", "power_now", "6000000", "temp", "-52", "temp_ambient", "215",
			"charge_now", "2000000", "energy_now", "7400000", "time_to_empty_now", "4800", "time_to_full_now", "0", "status", "Not charging", "cycle_count", "12", "voltage_max", "9"},
			"sensor_active channel=discharging 0\nsensor_charge_coulombs 7200\nsensor_current_amperes -1.5\nsensor_power_watts 6\n" +
				"sensor_remaining_time_seconds channel=empty 4800\nsensor_remaining_time_seconds channel=full 0\nsensor_stored_energy_joules 26640\n" +
				"sensor_temperature_celsius -5.2\nsensor_temperature_celsius channel=ambient 21.5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "power_supply"), supply(t, tc.device, tc.files...))
			if err != nil || len(failures) > 0 {
				t.Fatalf("failures %v, error %v", failures, err)
			}
			if got := series(readings); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestPowerSupplyFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(fs *sensortest.Files)
		reason sensors.Reason
		errHas string
	}{
		{"no battery", func(fs *sensortest.Files) { fs.Put(supplyDir+"/present", "0\n") }, sensors.NoAnswer, "there is no battery"},
		{"present is garbage", func(fs *sensortest.Files) { fs.Put(supplyDir+"/present", "2\n") }, sensors.IO, "0 or 1 is expected"},
		{"present gives EIO", func(fs *sensortest.Files) { fs.Break(supplyDir+"/present", syscall.EIO) }, sensors.IO, "present"},
		{"the gauge doesn't answer", func(fs *sensortest.Files) { fs.Break(supplyDir+"/capacity", syscall.EREMOTEIO) }, sensors.NoAnswer, "capacity"},
		{"above full", func(fs *sensortest.Files) { fs.Put(supplyDir+"/capacity", "255\n") }, sensors.OutOfRange, "outside"},
		{"status unknown", func(fs *sensortest.Files) { fs.Put(supplyDir+"/status", "Unknown\n") }, sensors.NotReady, `"Unknown"`},
		{"unplugged", func(fs *sensortest.Files) { clear(fs.Content) }, sensors.NoAnswer, "is gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := supply(t, "battery", max17048...)
			d := sensortest.Driver(t, "power_supply")
			s, err := d.New(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			tc.spoil(e.FS)
			readings, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if len(failures) > 0 {
				err = failures[0].Err
			}
			if sensors.ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), tc.errHas) {
				t.Errorf("got %s, %v (%s), want %s and %q", series(readings), err, sensors.ReasonOf(err), tc.reason, tc.errHas)
			}
		})
	}
	_, _, err := sensortest.Read(t, sensortest.Driver(t, "power_supply"), supply(t, "BAT0", max17048...))
	if sensors.ReasonOf(err) != sensors.NoAnswer || !strings.Contains(fmt.Sprint(err), `"Battery" at battery`) {
		t.Errorf("another one: %v", err)
	}
	e := supply(t, supplyDir, max17048...)
	e.FS.Break(supplyDir+"/type", syscall.EIO)
	if _, _, err := sensortest.Read(t, sensortest.Driver(t, "power_supply"), e); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
}
