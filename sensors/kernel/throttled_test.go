package kernel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// vcgencmd is a firmware that answers commands with a text, on a device.
func vcgencmd(t testing.TB, device, answer string) func(string, uint32, []uint32) error {
	return func(asked string, tag uint32, value []uint32) error {
		switch {
		case asked != device:
			return sensors.Errorf(sensors.NoAnswer, "ask %s: %w", asked, syscall.ENOENT)
		case tag != 0x00030080:
			t.Errorf("asked for the tag 0x%08x", tag)
		case value[0] != 0 || value[1] != 0x5f746567 || len(value) != 256: // "get_"
			t.Errorf("asked %x", value[:8])
		}
		clear(value)
		for i := range len(answer) {
			value[1+i/4] |= uint32(answer[i]) << (8 * (i % 4))
		}
		return nil
	}
}

// property is a firmware that knows the tag of its own alone.
func property(bits uint32) func(string, uint32, []uint32) error {
	return func(device string, tag uint32, value []uint32) error {
		switch {
		case device != "/dev/vcio":
			return sensors.Errorf(sensors.NoAnswer, "ask %s: %w", device, syscall.ENOENT)
		case tag == 0x00030080:
			return sensors.Errorf(sensors.NoAnswer, "this firmware doesn't support the tag")
		case tag != 0x00030046 || len(value) != 1 || value[0] != 0:
			return fmt.Errorf("asked for 0x%08x, %x: %w", tag, value, syscall.EINVAL)
		}
		value[0] = bits
		return nil
	}
}

func fails(err error) func(string, uint32, []uint32) error {
	return func(device string, _ uint32, _ []uint32) error { return fmt.Errorf("ask %s: %w", device, err) }
}

// states lists what is 1 and how many states there are.
func states(readings []sensors.Reading) string {
	var on []string
	for _, r := range readings {
		if r.Value == 1 {
			on = append(on, r.Labels[0]+"/"+r.Labels[1])
		}
	}
	slices.Sort(on)
	return fmt.Sprintf("%d: %s", len(readings), strings.Join(on, " "))
}

func TestThrottled(t *testing.T) {
	volt := []string{"hwmon0/name", "cpu_thermal", "hwmon1/name", "rpi_volt", "hwmon1/in0_lcrit_alarm"}
	for _, tc := range []struct {
		name     string
		firmware func(string, uint32, []uint32) error
		alarm    string // of rpi_volt; empty: there is none
		want     string
	}{
		{"all is well", vcgencmd(t, "/dev/vcio", "throttled=0x0\n"), "", "8: "},
		{"low voltage now", vcgencmd(t, "/dev/vcio", "throttled=0x50005"), "", "8: throttled/boot throttled/now undervoltage/boot undervoltage/now"},
		{"low voltage before", vcgencmd(t, "/dev/vcio_gencmd", "throttled=0x50000"), "", "8: throttled/boot undervoltage/boot"},
		{"heat", vcgencmd(t, "/dev/vcio", "throttled=0xe0008"), "0", "8: capped/boot soft_limit/boot soft_limit/now throttled/boot"},
		{"capped", vcgencmd(t, "/dev/vcio", "throttled=0x2"), "", "8: capped/now"},
		{"by its own tag", property(0x50005), "", "4: throttled/now undervoltage/now"},
		{"by the kernel", nil, "1", "1: undervoltage/now"},
		{"by the kernel, not now", nil, "0", "1: "},
		{"not allowed to ask", fails(syscall.EACCES), "1", "1: undervoltage/now"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := sensortest.New(t, sensortest.Driver(t, "throttled"), nil)
			e.FS.Firmware = tc.firmware
			if tc.alarm != "" {
				attributes(e, "/sys/class/hwmon", append(slices.Clone(volt), tc.alarm)...)
			}
			d := sensortest.Driver(t, "throttled")
			s, err := d.New(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				readings, failures, err := sensortest.Sense(t.Context(), t, d, s)
				if got := states(readings); err != nil || len(failures) > 0 || got != tc.want {
					t.Errorf("got %s, %v, %v, want %s", got, failures, err, tc.want)
				}
			}
			if said, want := strings.Count(e.Logged(), "group video"), strings.HasPrefix(tc.want, "1:"); (said == 1) != want || said > 1 {
				t.Errorf("said %d times that only the alarm is read", said)
			}
		})
	}
}

func TestThrottledFailures(t *testing.T) {
	for _, tc := range []struct {
		name     string
		firmware func(string, uint32, []uint32) error
		files    []string
		reason   sensors.Reason
		errno    error
		errHas   string
	}{
		{"no Pi", nil, nil, sensors.NoAnswer, syscall.ENOENT, "is this a Raspberry Pi"},
		{"not allowed, and no rpi_volt", fails(syscall.EACCES), nil, sensors.NoAnswer, syscall.EACCES, "group video"},
		{"EIO", fails(syscall.EIO), nil, sensors.IO, syscall.EIO, "/dev/vcio"},
		{"an error in words", vcgencmd(t, "/dev/vcio", "error=1 error_msg=\"Command not registered\""), nil, sensors.IO, nil, "asked for"},
		{"no text", vcgencmd(t, "/dev/vcio", ""), nil, sensors.IO, nil, "asked for"},
		{"no number", vcgencmd(t, "/dev/vcio", "throttled=0xzz"), nil, sensors.IO, nil, "asked for"},
		{"an alarm that is garbage", nil, []string{"name", "rpi_volt", "in0_lcrit_alarm", "2"}, sensors.NoAnswer, nil, "0 or 1 is expected"},
		{"no alarm", nil, []string{"name", "rpi_volt"}, sensors.NoAnswer, syscall.ENOENT, "in0_lcrit_alarm"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := sensortest.New(t, sensortest.Driver(t, "throttled"), nil)
			if tc.firmware != nil {
				e.FS.Firmware = func(device string, tag uint32, value []uint32) error {
					if tag == 0x00030046 {
						return fmt.Errorf("asked for its own tag: %w", errors.ErrUnsupported)
					}
					return tc.firmware(device, tag, value)
				}
			}
			attributes(e, hwmonDir, tc.files...)
			_, _, err := sensortest.Read(t, sensortest.Driver(t, "throttled"), e)
			if sensors.ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), tc.errHas) || tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("got %v (%s), want %s, %v and %q", err, sensors.ReasonOf(err), tc.reason, tc.errno, tc.errHas)
			}
		})
	}
}
