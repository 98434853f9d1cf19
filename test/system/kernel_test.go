//go:build system

package system

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
)

// A device that goes and comes back between two reads is found again, whatever
// number it has then.
func TestAKernelsDeviceReturnsWithAnotherNumber(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	bind := func(address uint16) {
		_, err := b.bus.Bind(ctx, "lm75", address)
		kit.Must(t, err)
	}
	bind(lm75Address)
	later(t, func(ctx context.Context) error { return b.bus.Unbind(ctx, lm75Address) })
	d := b.Daemon(t, fmt.Sprintf("--sensor=a=hwmon,device=%d-%04x", b.bus.Number, lm75Address))
	if s := d.Read()["a"]; !*s.Up || *s.Readings[0].Value != -25 {
		t.Fatalf("before: %+v", s)
	}
	kit.Must(t, b.bus.Unbind(ctx, lm75Address))
	if s := d.Read()["a"]; *s.Up || len(s.Readings) != 0 || s.Reason != "no_answer" {
		t.Errorf("while it is away: %+v", s)
	}
	bind(tmp102Address) // an LM75 to the kernel; takes the number over
	later(t, func(ctx context.Context) error { return b.bus.Unbind(ctx, tmp102Address) })
	if s := d.Read()["a"]; *s.Up || len(s.Readings) != 0 {
		t.Errorf("while another has its number: %+v", s)
	}
	bind(lm75Address)
	if s := d.Read()["a"]; !*s.Up || *s.Readings[0].Value != -25 {
		t.Errorf("after it came back: %+v", s)
	}
}

// littleEndian are word registers as SMBus sends them.
func littleEndian(registers map[int]uint16) map[int][]byte {
	content := map[int][]byte{}
	for r, v := range registers {
		content[r] = []byte{byte(v), byte(v >> 8)}
	}
	return content
}

// TestTheKernelsQuirks: a light sensor whose scale is its gain, read by Linux'
// veml6030, and a battery by its max17042_battery.
func TestTheKernelsQuirks(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	bus, err := b.AddI2CBus(ctx)
	kit.Must(t, err)
	later(t, bus.Remove)
	kit.Must(t, b.Modprobe(ctx, "veml6030", ""))
	kit.Must(t, b.Modprobe(ctx, "max17042_battery", ""))
	// Illuminance in register 4, white light in 5, which Linux calls both.
	kit.Must(t, bus.AddChip(ctx, 0x10, i2c.Words(littleEndian(map[int]uint16{4: 1480, 5: 2000}))))
	// VCELL 0x09 in 78.125 µV, VFSOC 0xff (of which the model keeps seven bits) in 1/256 %, TEMP 0x08 in 1/256 °C, DevName 0x21.
	kit.Must(t, bus.AddChip(ctx, 0x36, i2c.Words(littleEndian(map[int]uint16{0x09: 51360, 0x7f: 87<<8 + 128, 0x08: 0xfc00, 0x21: 0x0092, 0x2b: 0x0003}))))
	for chip, address := range map[string]uint16{"veml6030": 0x10, "max17042": 0x36} {
		_, err := bus.Bind(ctx, chip, address)
		kit.Must(t, err)
		later(t, func(ctx context.Context) error { return bus.Unbind(ctx, address) })
	}
	d := b.Daemon(t, "--sensor=roof=iio,device=veml6030", "--sensor=ups=power_supply,device=max170xx_battery",
		fmt.Sprintf("--sensor=same=power_supply,device=%d-0036,only=capacity", bus.Number))
	all := d.Read()

	// Gain 1/8 and 100 ms, as the driver sets it up: 0.5376 lx a count by its
	// own table. Raw times scale would be 185.
	roof := d.Value(`sensor_illuminance_lux{sensor="roof"}`)
	if math.Abs(roof-1480*0.5376) > 1e-3 {
		t.Errorf("the illuminance is %v: %+v", roof, all["roof"])
	}
	checkPage(t, d.Page(), map[string]float64{
		`sensor_battery_ratio{sensor="ups"}`:                             0.87,
		`sensor_battery_ratio{sensor="same"}`:                            0.87,
		`sensor_voltage_volts{sensor="ups"}`:                             4.0125,
		`sensor_temperature_celsius{sensor="ups"}`:                       -4,
		`sensor_light_intensity{channel="intensity_both",sensor="roof"}`: 1075.002, // the driver writes the fraction of 1075.2 so
	})
	// Nobody tells this gauge whether the battery is being charged.
	if f := all["ups"].Failures; len(f) != 1 || !slices.Equal(f[0].Labels, []string{"discharging"}) || !strings.Contains(f[0].Error, `"Unknown"`) {
		t.Errorf("the failures are %+v", f)
	}
	// The battery is taken out, which the gauge tells by a bit of register 0.
	kit.Must(t, bus.Poke(ctx, 0x36, 0, []byte{0x08, 0}))
	if s := d.Read()["ups"]; *s.Up || s.Reason != "no_answer" || !strings.Contains(s.Error, "there is no battery") {
		t.Errorf("without its battery: %+v", s)
	}
}
