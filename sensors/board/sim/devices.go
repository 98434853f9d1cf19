package sim

import (
	"context"
	"fmt"
	"math"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// The devices that the kernel drives on the simulated board: a BH1750 on I2C
// bus 3 (drivers/iio/light/bh1750.c), a fan (drivers/hwmon/pwm-fan.c), the
// supply's alarm (drivers/hwmon/raspberrypi-hwmon.c), and the gauge of a UPS
// HAT (drivers/power/supply/max17040_battery.c).
const (
	lightAddress  = "3-0023"
	gaugeAddress  = "3-0036"
	fanDevice     = "cooling_fan"
	alarmDevice   = "raspberrypi-hwmon"
	lightScale    = 0.833333 // 1/1.2 lx: BH1750 data sheet, "H-resolution mode"
	fanMost       = 5000.    // revolutions per minute
	fanFrom       = 45.      // °C at which it starts
	fanFull       = 60.      // °C at which it is as fast as it can be
	batteryEmpty  = 3.3      // V
	batteryFull   = 4.2      // V
	gencmdTag     = 0x00030080
	throttledTag  = 0x00030046
	vcio          = "/dev/vcio"
	throttledText = "throttled=0x%x"
)

// addDevices makes the attributes, below the kernel's list of each class and
// below the device that they belong to.
func (t *fileTree) addDevices() {
	value := func(f func(v Values) string) file {
		return file{read: func(context.Context) ([]byte, error) {
			return []byte(f(t.board.Values(t.board.clock.Now())) + "\n"), nil
		}}
	}
	constant := func(s string) file { return value(func(Values) string { return s }) }
	number := func(f func(v Values) float64) file {
		return value(func(v Values) string { return fmt.Sprint(int(math.Round(f(v)))) })
	}
	t.files[vcio] = file{}
	t.device("/sys/bus/iio/devices/iio:device0", "/sys/bus/i2c/devices/"+lightAddress+"/iio:device0", map[string]file{
		"name":                 constant("bh1750"),
		"in_illuminance_raw":   number(func(v Values) float64 { return v.RoofIlluminance / lightScale }),
		"in_illuminance_scale": constant(fmt.Sprintf("%.6f", lightScale)),
	})
	t.device("/sys/class/hwmon/hwmon0", "/sys/bus/platform/devices/"+alarmDevice+"/hwmon/hwmon0", map[string]file{
		"name":            constant("rpi_volt"),
		"in0_lcrit_alarm": value(func(Values) string { return fmt.Sprint(t.board.throttled() & 1) }),
	})
	t.device("/sys/class/hwmon/hwmon1", "/sys/bus/platform/devices/"+fanDevice+"/hwmon/hwmon1", map[string]file{
		"name":       constant("pwmfan"),
		"fan1_input": number(func(v Values) float64 { return fanMost * fanShare(v) }),
		"pwm1":       number(func(v Values) float64 { return 255 * fanShare(v) }),
	})
	t.device("/sys/class/power_supply/battery", "/sys/bus/i2c/devices/"+gaugeAddress+"/power_supply/battery", map[string]file{
		"type":        constant("Battery"),
		"present":     constant("1"),
		"online":      constant("1"),
		"status":      constant("Full"),
		"voltage_now": number(func(v Values) float64 { return v.BatteryVoltage * 1e6 }),
		"capacity": number(func(v Values) float64 {
			return 100 * min(1, max(0, (v.BatteryVoltage-batteryEmpty)/(batteryFull-batteryEmpty)))
		}),
	})
}

// fanShare is how fast the fan turns, 0 to 1, by the processor's temperature.
func fanShare(v Values) float64 {
	return min(1, max(0, (v.ProcessorTemperature-fanFrom)/(fanFull-fanFrom)))
}

func (t *fileTree) device(listed, below string, attributes map[string]file) {
	for name, f := range attributes {
		t.files[listed+"/"+name] = f
		t.files[below+"/"+name] = f
	}
}

// SetThrottled is what the firmware says when it is asked for get_throttled.
func (b *Board) SetThrottled(bits uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.throttledBits = bits
}

func (b *Board) throttled() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.throttledBits
}

// Property answers as the firmware does, for the two tags that tell of
// throttling. FailFile of /dev/vcio makes it fail.
func (t *fileTree) Property(ctx context.Context, device string, tag uint32, value []uint32) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ask %s: %w", device, err)
	}
	if _, err := t.file(device); err != nil {
		return board.FileError("ask", device, err)
	}
	switch {
	case tag == throttledTag && len(value) == 1:
		value[0] = t.board.throttled()
	case tag == gencmdTag && len(value) > 8 && text(value[1:]) == "get_throttled":
		clear(value)
		for i, c := range []byte(fmt.Sprintf(throttledText, t.board.throttled())) {
			value[1+i/4] |= uint32(c) << (8 * (i % 4))
		}
	default:
		return sensors.Errorf(sensors.NoAnswer, "ask %s: the simulated firmware doesn't know the tag 0x%08x", device, tag)
	}
	return nil
}

// text is what words hold, four letters in each, the first one lowest.
func text(words []uint32) string {
	var b strings.Builder
	for _, w := range words {
		for ; w != 0; w >>= 8 {
			b.WriteByte(byte(w))
		}
	}
	return b.String()
}
