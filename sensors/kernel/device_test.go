package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// twoChips has two BMP280s and a light sensor, as the kernel shows them: in
// its list, and below the devices that they belong to.
func twoChips(t testing.TB, device string) *sensortest.Env {
	t.Helper()
	e := sensortest.New(t, sensortest.Driver(t, "iio"), map[string]string{"device": device})
	for _, c := range []struct{ number, address, name, label, value string }{
		{"0", "1-0076", "bmp280", "", "21000"},
		{"1", "1-0077", "bmp280", "cellar", "12000"},
		{"2", "spi0.0", "max31855", "kiln[top", "850000"},
	} {
		node := "iio:device" + c.number
		for _, dir := range []string{"/sys/bus/iio/devices/" + node, "/sys/bus/i2c/devices/" + c.address + "/" + node} {
			if strings.HasPrefix(c.address, "spi") {
				dir = strings.Replace(dir, "/i2c/", "/spi/", 1)
			}
			attributes(e, dir, "name", c.name, "in_temp_input", c.value)
			if c.label != "" {
				attributes(e, dir, "label", c.label)
			}
		}
	}
	attributes(e, "/sys/devices/platform/mux[0/iio:device3", "name", "rescale", "in_temp_input", "5000")
	return e
}

func TestDeviceChoice(t *testing.T) {
	for _, tc := range []struct {
		device string
		want   float64
		errHas []string // of an error of the class reason
		reason sensors.Reason
	}{
		{"max31855", 850, nil, ""},
		{"cellar", 12, nil, ""},
		{"1-0076", 21, nil, ""},
		{"1-0077", 12, nil, ""},
		{"spi0.0", 850, nil, ""},
		{"/sys/bus/i2c/devices/1-0077", 12, nil, ""},
		{"/sys/bus/i2c/devices/1-0077/", 12, nil, ""},
		{"bmp280", 0, []string{`2 IIO devices are "bmp280"`, "1-0076, 1-0077", "choose one"}, sensors.Identity},
		{"bme280", 0, []string{`no IIO device is "bme280"`, `"bmp280" at 1-0076`, `"max31855" at spi0.0`}, sensors.NoAnswer},
		{"kiln[top", 850, nil, ""},
		{"/sys/devices/platform/mux[0", 5, nil, ""},
		{"1-007?", 0, []string{`no IIO device is "1-007?"`}, sensors.NoAnswer},
		{"spi*", 0, []string{`no IIO device is "spi*"`}, sensors.NoAnswer},
		{"/sys/bus/i2c/devices/1-007[7]", 0, []string{"no IIO device is"}, sensors.NoAnswer},
		{"/sys/bus/i2c/devices/1-0048", 0, []string{"1-0048", "1-0076"}, sensors.NoAnswer},
	} {
		t.Run(tc.device, func(t *testing.T) {
			readings, _, err := sensortest.Read(t, sensortest.Driver(t, "iio"), twoChips(t, tc.device))
			if tc.errHas == nil {
				if err != nil {
					t.Fatal(err)
				}
				if got := sensortest.Value(t, readings, sensors.Temperature); got != tc.want {
					t.Errorf("got %v, want %v", got, tc.want)
				}
				return
			}
			for _, want := range tc.errHas {
				if sensors.ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("got %v (%s), want %s and %q", err, sensors.ReasonOf(err), tc.reason, want)
				}
			}
		})
	}
	e := sensortest.New(t, sensortest.Driver(t, "iio"), map[string]string{"device": "bmp280"})
	if _, _, err := sensortest.Read(t, sensortest.Driver(t, "iio"), e); sensors.ReasonOf(err) != sensors.NoAnswer || !strings.Contains(fmt.Sprint(err), "overlay") {
		t.Errorf("without any device: %v", err)
	}
}

// A number that changes chooses nothing, and neither does a path elsewhere.
func TestDeviceNumbersAreRefused(t *testing.T) {
	for _, driver := range []string{"iio", "hwmon", "power_supply"} {
		d := sensortest.Driver(t, driver)
		for _, device := range []string{"iio:device0", "hwmon12", "/sys/class/hwmon/hwmon2", "/sys/bus/i2c/devices/1-0048/hwmon/hwmon1", "/sys/bus/iio/devices/iio:device3"} {
			if _, err := sensors.NewOptions(d, map[string]string{"device": device}); err == nil || !strings.Contains(err.Error(), "changes when drivers are loaded") {
				t.Errorf("%s: %s: got %v", driver, device, err)
			}
		}
		for _, device := range []string{"/dev/i2c-1", "1-0076/name", "/proc/self"} {
			if _, err := sensors.NewOptions(d, map[string]string{"device": device}); err == nil || !strings.Contains(err.Error(), "not a path below /sys") {
				t.Errorf("%s: %s: got %v", driver, device, err)
			}
		}
		if _, err := sensors.NewOptions(d, nil); err == nil {
			t.Errorf("%s: without a device it is accepted", driver)
		}
	}
}

// TestDeviceRenumbered: what is called iio:device0 may become another one,
// also of the same name, while it is read or between two reads.
func TestDeviceRenumbered(t *testing.T) {
	d := sensortest.Driver(t, "iio")
	for _, next := range []string{"bme280", "bmp280"} {
		e := quickly(iioDevice(t, nil, "bmp280", "in_temp_input", "21000"))
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if readings, _, err := sensortest.Sense(t.Context(), t, d, s); err != nil || sensortest.Value(t, readings, sensors.Temperature) != 21 {
				t.Fatalf("got %v, %v", readings, err)
			}
		}
		e.FS.OnRead = func(path string) {
			if strings.HasSuffix(path, "in_temp_input") {
				e.FS.OnRead = nil
				e.put(iioDir+"/name", next+"\n")
			}
		}
		for range 2 {
			if readings, _, err := sensortest.Sense(t.Context(), t, d, s); sensors.ReasonOf(err) != sensors.Identity || !strings.Contains(fmt.Sprint(err), next) {
				t.Errorf("%s: got %v, %v, want it to be noticed", next, readings, err)
			}
		}
	}
}

// A device whose driver releases it says so, and not only that a file is
// missing.
func TestDeviceGone(t *testing.T) {
	for _, errno := range []error{nil, syscall.ENODEV} {
		e := iioDevice(t, nil, "bmp280", "in_temp_input", "21000")
		d := sensortest.Driver(t, "iio")
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		e.FS.Remove(iioDir + "/name")
		e.FS.Remove(iioDir + "/in_temp_input")
		if errno != nil {
			e.FS.Break(iioDir+"/in_temp_input", errno)
		}
		if _, _, err := sensortest.Sense(t.Context(), t, d, s); sensors.ReasonOf(err) != sensors.NoAnswer || !errors.Is(err, fs.ErrNotExist) ||
			!strings.Contains(fmt.Sprint(err), "IIO device bmp280 is gone") {
			t.Errorf("got %v", err)
		}
	}
}

// What can't be read while devices are looked for is an error, not an absence.
func TestDeviceErrno(t *testing.T) {
	e := twoChips(t, "cellar")
	e.FS.Break("/sys/bus/iio/devices/iio:device0/name", syscall.EACCES)
	if _, _, err := sensortest.Read(t, sensortest.Driver(t, "iio"), e); !errors.Is(err, syscall.EACCES) {
		t.Errorf("got %v", err)
	}
	e = iioDevice(t, map[string]string{"device": "/sys/bus/iio/devices"}, "", "in_temp_input", "1")
	if _, _, err := sensortest.Read(t, sensortest.Driver(t, "iio"), e); sensors.ReasonOf(err) != sensors.IO || !strings.Contains(fmt.Sprint(err), "name is empty") {
		t.Errorf("without a name: %v", err)
	}
}
