//go:build system

package system

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// A kernelChip is a model that is read by a driver of Dormouse's own, and by
// the kernel's driver through iio or hwmon.
type kernelChip struct {
	name    string
	address uint16
	module  string // the kernel's
	bind    string // what the chip is called there
	class   string // iio or hwmon
	own     string // the driver of Dormouse's own, with options
	model   rig.Chip
	// contents makes one of many contents; boundaries are further ones.
	contents   func(r *rand.Rand) map[string]int
	boundaries []map[string]int
	// beyond are contents that the kernel reads and the own driver refuses.
	beyond []map[string]int
	// within is how far the two may be apart, by the kernel's rounding.
	within map[string]float64
	// channels are what the kernel's channels are called by the own driver.
	channels map[string]string
}

var kernelChips = []kernelChip{
	{name: "bmp280", address: 0x76, module: "bmp280-i2c", bind: "bmp280", class: "iio", own: "bme280", model: i2c.BMP280(),
		contents: func(r *rand.Rand) map[string]int {
			return map[string]int{"adc_T": 450_000 + r.IntN(150_000), "adc_P": 400_000 + r.IntN(50_000)}
		},
		// The kernel computes in whole hundredths of °C, and in 1/256 Pa.
		within: map[string]float64{"temperature": 0.0051, "pressure": 0.1}},
	{name: "bme280", address: 0x77, module: "bmp280-i2c", bind: "bme280", class: "iio", own: "bme280", model: i2c.BME280(),
		contents: func(r *rand.Rand) map[string]int {
			return map[string]int{"adc_T": 450_000 + r.IntN(130_000), "adc_P": 400_000 + r.IntN(50_000), "adc_H": 21_500 + r.IntN(17_000)}
		},
		// Humidity in 1/1024 %, cut to thousandths of a percent.
		within: map[string]float64{"temperature": 0.0051, "pressure": 0.1, "humidity": 3e-5}},
	{name: "lm75", address: 0x48, module: "lm75", bind: "lm75", class: "hwmon", own: "tmp102,model=lm75", model: i2c.LM75(0),
		contents:   func(r *rand.Rand) map[string]int { return map[string]int{"temperature": r.IntN(361) - 110} },
		boundaries: []map[string]int{{"temperature": -110}, {"temperature": -1}, {"temperature": 0}, {"temperature": 1}, {"temperature": 250}},
		within:     map[string]float64{"temperature": 0}},
	{name: "tmp102", address: 0x49, module: "tmp102", bind: "tmp102", class: "hwmon", own: "tmp102", model: i2c.TMP102(0),
		contents:   func(r *rand.Rand) map[string]int { return map[string]int{"temperature": r.IntN(2880) - 880} },
		boundaries: []map[string]int{{"temperature": -880}, {"temperature": -1}, {"temperature": 0}, {"temperature": 1}, {"temperature": 2000}},
		// Sixteenths of a degree, cut to thousandths.
		within: map[string]float64{"temperature": 0.0006}},
	{name: "sht4x", address: 0x44, module: "sht4x", bind: "sht4x", class: "hwmon", own: "sht4x", model: i2c.SHT4x(0, 0),
		contents: func(r *rand.Rand) map[string]int {
			return map[string]int{"temperature": 8_000 + r.IntN(55_000), "humidity": 4_000 + r.IntN(50_000)}
		},
		// The kernel divides by 65536 where the data sheet has 65535, and cuts
		// to thousandths: 0.0027 and 0.001 °C, 0.0019 and 0.001 %.
		within: map[string]float64{"temperature": 0.0037, "humidity": 2.9e-5}},
	{name: "ads1115", address: 0x4a, module: "ti-ads1015", bind: "ads1115", class: "iio", own: "ads1115,gain=2.048V", model: i2c.ADS1115(0, 0, 0, 0),
		contents: func(r *rand.Rand) map[string]int {
			return map[string]int{"ain0": r.IntN(2_000_000), "ain1": r.IntN(2_000_000), "ain2": r.IntN(2_000_000), "ain3": r.IntN(2_000_000)}
		},
		boundaries: []map[string]int{{"ain0": 0, "ain1": 0, "ain2": 2_047_000, "ain3": 63}},
		beyond:     []map[string]int{{"ain0": 2_100_000, "ain1": 0, "ain2": 0, "ain3": 0}},
		// Both use ±2.048 V: the same codes.
		within:   map[string]float64{"voltage": 1e-9},
		channels: map[string]string{"voltage0": "a0", "voltage1": "a1", "voltage2": "a2", "voltage3": "a3"}},
	{name: "sht3x", address: 0x45, module: "sht3x", bind: "sht3x", class: "hwmon", own: "sht3x", model: i2c.SHT3x(0, 0),
		contents: func(r *rand.Rand) map[string]int {
			return map[string]int{"temperature": 2_000 + r.IntN(61_000), "humidity": 1 + r.IntN(65_534)}
		},
		boundaries: []map[string]int{{"temperature": 1873, "humidity": 1}, {"temperature": 63_600, "humidity": 65_534}},
		// As of the sht4x, over the whole range.
		within: map[string]float64{"temperature": 0.0037, "humidity": 2.9e-5}},
	{name: "htu21d", address: 0x40, module: "sht21", bind: "sht21", class: "hwmon", own: "htu21d", model: i2c.HTU21D(0, 0),
		contents: func(r *rand.Rand) map[string]int {
			return map[string]int{"temperature": 2_600 + r.IntN(61_000), "humidity": 3_200 + r.IntN(52_000)}
		},
		boundaries: []map[string]int{{"temperature": 2_560, "humidity": 3_148}, {"temperature": 64_000, "humidity": 55_568}},
		// Both in whole thousandths of °C and of a percent.
		within: map[string]float64{"temperature": 0.001, "humidity": 1e-5}},
	{name: "mcp9808", address: 0x18, module: "jc42", bind: "jc42", class: "hwmon", own: "mcp9808", model: i2c.MCP9808(0),
		contents:   func(r *rand.Rand) map[string]int { return map[string]int{"temperature": r.IntN(2640) - 640} },
		boundaries: []map[string]int{{"temperature": -640}, {"temperature": -1}, {"temperature": 0}, {"temperature": 1}, {"temperature": 2000}},
		// Sixteenths of a degree, cut to thousandths.
		within: map[string]float64{"temperature": 0.0006}},
	{name: "bh1750", address: 0x23, module: "bh1750", bind: "bh1750", class: "iio", own: "bh1750", model: i2c.BH1750(0),
		contents:   func(r *rand.Rand) map[string]int { return map[string]int{"light": 1 + r.IntN(65_534)} },
		boundaries: []map[string]int{{"light": 1}, {"light": 65_534}},
		beyond:     []map[string]int{{"light": 65_535}},
		// The kernel's scale is 0.833333 for 1/1.2.
		within: map[string]float64{"illuminance": 0.022}},
}

// all are the contents to try, by what the own driver makes of them: as many as
// there are boundaries and random ones to n.
func (c *kernelChip) all(n int) (contents []map[string]int) {
	random := rand.New(rand.NewPCG(1, uint64(c.address)))
	contents = slices.Concat(c.boundaries, c.beyond)
	for len(contents) < n {
		contents = append(contents, c.contents(random))
	}
	return contents
}

// kernelTries is how many contents of each chip are read; `make soak` reads more.
func kernelTries() int {
	if os.Getenv("DORMOUSE_SOAK") != "" {
		return 500
	}
	return 50
}

// TestTheKernelsDevices reads chips by iio and hwmon, that is by the kernel's
// drivers, and by Dormouse's own: on the same bytes both must say the same. All
// chips are read in one wake.
func TestTheKernelsDevices(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	bus, err := b.AddI2CBus(ctx)
	kit.Must(t, err)
	later(t, bus.Remove)
	var args, own, kernel []string
	for _, c := range kernelChips {
		kit.Must(t, b.Modprobe(ctx, c.module, ""))
		kit.Must(t, bus.AddChip(ctx, c.address, c.model))
		own, kernel = append(own, "own-"+c.name), append(kernel, "kernel-"+c.name)
		// On a busy host the emulated bus is slow.
		args = append(args, fmt.Sprintf("--sensor=own-%s=%s,bus=%d,addr=0x%02x,timeout=2m", c.name, c.own, bus.Number, c.address),
			fmt.Sprintf("--sensor=kernel-%s=%s,device=%d-%04x,timeout=2m", c.name, c.class, bus.Number, c.address))
	}
	d := b.Daemon(t, args...)
	for name, s := range d.Read(kernel...) {
		if strings.HasPrefix(name, "kernel-") && (*s.Up || s.Reason != "no_answer" || !strings.Contains(s.Error, fmt.Sprintf("is \"%d-00", bus.Number))) {
			t.Errorf("while nothing is bound: %+v", s)
		}
	}
	tries := kernelTries()
	contents := make([][]map[string]int, len(kernelChips))
	tallies := make([]tally, len(kernelChips))
	for i, c := range kernelChips {
		contents[i], tallies[i].worst = c.all(tries), map[string]float64{}
	}
	for try := range tries {
		for i, c := range kernelChips {
			kit.Must(t, bus.Set(ctx, c.address, contents[i][try]))
		}
		ours := d.Read(own...)
		// Some drivers serve what they have read for seconds: bound anew they have
		// read nothing.
		for _, c := range kernelChips {
			_, err := bus.Bind(ctx, c.bind, c.address)
			kit.Must(t, err)
		}
		theirs := d.Read(kernel...)
		for i, c := range kernelChips {
			kit.Must(t, bus.Unbind(ctx, c.address))
			beyond := try >= len(c.boundaries) && try < len(c.boundaries)+len(c.beyond)
			c.compare(t, contents[i][try], ours["own-"+c.name], theirs["kernel-"+c.name], beyond, &tallies[i])
		}
	}
	for i, c := range kernelChips {
		n := tallies[i]
		t.Logf("%s: %d tries, %d equal but for rounding, %d refused, %d different; at most apart: %v", c.name, tries, n.equal, n.refused, tries-n.equal-n.refused, n.worst)
	}
}

// A tally is what came out for one chip.
type tally struct {
	equal, refused int
	worst          map[string]float64 // how far apart the two were, by quantity
}

// compare adds one content to the tally.
func (c *kernelChip) compare(t *testing.T, content map[string]int, own, kernel exporter.SensorJSON, beyond bool, n *tally) {
	t.Helper()
	switch {
	case !*kernel.Up:
		t.Errorf("%s: %v isn't read by the kernel: %s", c.name, content, kernel.Error)
	case beyond && own.Reason == "range" && !*own.Up, beyond && len(own.Failures) > 0 && own.Failures[0].Reason == "range":
		n.refused++
	case beyond || !*own.Up:
		t.Errorf("%s: %v: up %t, %s", c.name, content, *own.Up, own.Error)
	case c.agree(t, content, own, kernel, n.worst):
		n.equal++
	}
}

// agree compares what both read, reading by reading.
func (c *kernelChip) agree(t *testing.T, content map[string]int, own, kernel exporter.SensorJSON, worst map[string]float64) bool {
	t.Helper()
	of := func(s exporter.SensorJSON, rename map[string]string) map[string]float64 {
		values := map[string]float64{}
		for _, r := range s.Readings {
			channel := r.Labels["channel"]
			if to := rename[channel]; to != "" {
				channel = to
			}
			if rename == nil && strings.HasPrefix(channel, "temp") || strings.HasPrefix(channel, "humidity") {
				channel = ""
			}
			values[strings.TrimSpace(r.Quantity+" "+channel)] = *r.Value
		}
		return values
	}
	want, got := of(own, nil), of(kernel, c.channels)
	if c.channels != nil { // differential inputs besides
		maps.DeleteFunc(got, func(name string, _ float64) bool { return strings.Contains(name, "-") })
		maps.DeleteFunc(want, func(name string, _ float64) bool { return strings.Contains(name, "-") })
	}
	if !slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))) || len(want) == 0 {
		t.Errorf("%v: the own driver reads %v, the kernel's %v", content, want, got)
		return false
	}
	ok := true
	for name, v := range want {
		quantity, _, _ := strings.Cut(name, " ")
		apart := math.Abs(v - got[name])
		worst[quantity] = max(worst[quantity], apart)
		if apart > c.within[quantity]+1e-9 {
			t.Errorf("%v: %s is %v, and %v by the kernel", content, name, v, got[name])
			ok = false
		}
	}
	return ok
}

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
