package all

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
)

// A chosen is what a setting's choice is in the chip: what is written for it,
// and how long the conversion then takes, by the data sheet's tables.
type chosen struct {
	choice string
	write  string // in hexadecimal
	takes  time.Duration
}

const us = time.Microsecond

// settings are the choices of each model of package sim, by the sections of the
// data sheets that the drivers name.
var settings = map[string]map[string][]chosen{
	"bme280": {
		"oversampling": {{"1", "f425", 9300 * us}, {"2", "f449", 16200 * us}, {"4", "f46d", 30000 * us}, {"8", "f491", 57600 * us}, {"16", "f4b5", 112800 * us}},
	},
	"bmp280": {
		"oversampling": {{"1", "f425", 6425 * us}, {"2", "f449", 11025 * us}, {"4", "f46d", 20225 * us}, {"8", "f491", 38625 * us}, {"16", "f4b5", 75425 * us}},
	},
	"sht4x": {
		"precision": {{"high", "fd", 8300 * us}, {"medium", "f6", 4500 * us}, {"low", "e0", 1700 * us}},
	},
	"ads1115": {
		"gain": {{"6.144V", "01c187", 8619 * us}, {"4.096V", "01c387", 8619 * us}, {"2.048V", "01c587", 8619 * us}, {"1.024V", "01c787", 8619 * us}, {"0.512V", "01c987", 8619 * us}, {"0.256V", "01cb87", 8619 * us}},
		"rate": {{"8", "01c307", 137525 * us}, {"16", "01c327", 68775 * us}, {"32", "01c347", 34400 * us}, {"64", "01c367", 17212 * us}, {"128", "01c387", 8619 * us}, {"250", "01c3a7", 4425 * us}, {"475", "01c3c7", 2341 * us}, {"860", "01c3e7", 1304 * us}},
	},
	"ads1015": {
		"gain": {{"6.144V", "01c107", 8619 * us}, {"4.096V", "01c307", 8619 * us}, {"2.048V", "01c507", 8619 * us}, {"1.024V", "01c707", 8619 * us}, {"0.512V", "01c907", 8619 * us}, {"0.256V", "01cb07", 8619 * us}},
		"rate": {{"128", "01c307", 8619 * us}, {"250", "01c327", 4425 * us}, {"490", "01c347", 2270 * us}, {"920", "01c367", 1221 * us}, {"1600", "01c387", 712 * us}, {"2400", "01c3a7", 483 * us}, {"3300", "01c3c7", 358 * us}},
	},
	"bh1750": {
		"resolution": {{"high", "20", 180000 * us}, {"high2", "21", 180000 * us}, {"low", "23", 24000 * us}},
	},
	"sht3x": {
		"precision": {{"high", "2400", 15500 * us}, {"medium", "240b", 6500 * us}, {"low", "2416", 4500 * us}},
	},
	"sts3x": {
		"precision": {{"high", "2400", 15500 * us}, {"medium", "240b", 6500 * us}, {"low", "2416", 4500 * us}},
	},
	"shtc3": {
		"precision": {{"high", "7866", 12100 * us}, {"low", "609c", 800 * us}},
	},
	"hdc302x": {
		"precision": {{"high", "2400", 15000 * us}, {"medium", "240b", 9000 * us}, {"low", "24ff", 4500 * us}},
	},
	"ina219": {
		"samples": {{"1", "003c43", 1222 * us}, {"2", "003ccb", 2390 * us}, {"4", "003d53", 4730 * us}, {"8", "003ddb", 9410 * us}, {"16", "003e63", 18770 * us}, {"32", "003eeb", 37490 * us}, {"64", "003f73", 74950 * us}, {"128", "003ffb", 149850 * us}},
	},
	"ina226": {
		"samples": {{"1", "004123", 2420 * us}, {"4", "004323", 9680 * us}, {"16", "004523", 38720 * us}, {"64", "004723", 154880 * us}, {"128", "004923", 309760 * us}, {"256", "004b23", 619520 * us}, {"512", "004d23", 1239040 * us}, {"1024", "004f23", 2478080 * us}},
	},
	"ina260": {
		"samples": {{"1", "006123", 2420 * us}, {"4", "006323", 9680 * us}, {"16", "006523", 38720 * us}, {"64", "006723", 154880 * us}, {"128", "006923", 309760 * us}, {"256", "006b23", 619520 * us}, {"512", "006d23", 1239040 * us}, {"1024", "006f23", 2478080 * us}},
	},
	"ina3221": {
		"samples": {{"1", "007123", 7260 * us}, {"4", "007323", 29040 * us}, {"16", "007523", 116160 * us}, {"64", "007723", 464640 * us}, {"128", "007923", 929280 * us}, {"256", "007b23", 1858560 * us}, {"512", "007d23", 3717120 * us}, {"1024", "007f23", 7434240 * us}},
	},
	"tmp117": {
		"samples": {{"1", "010c00", 17500 * us}, {"8", "010c20", 140000 * us}, {"32", "010c40", 560000 * us}, {"64", "010c60", 1120000 * us}},
	},
	"bmp180": {
		"oversampling": {{"1", "f434", 4500 * us}, {"2", "f474", 7500 * us}, {"4", "f4b4", 13500 * us}, {"8", "f4f4", 25500 * us}},
	},
	"tsl2561": {
		"gain": {{"1", "8102", 430000 * us}, {"16", "8112", 430000 * us}},
	},
	"tsl2591": {
		"gain": {{"1", "a100", 108000 * us}, {"25", "a110", 108000 * us}, {"428", "a120", 108000 * us}, {"9876", "a130", 108000 * us}},
	},
	"ltr559": {
		"gain": {{"1", "8001", 120000 * us}, {"4", "8009", 120000 * us}, {"48", "8019", 120000 * us}, {"96", "801d", 120000 * us}},
	},
	"veml7700": {
		"range": {{"120klx", "001013", 37000 * us}, {"30klx", "001010", 130000 * us}, {"3700lx", "001000", 130000 * us}, {"230lx", "00d008", 1005000 * us}},
	},
	"bme680": {
		"oversampling": {{"1", "7425", 159182 * us}, {"2", "7449", 165071 * us}, {"4", "746d", 176849 * us}, {"8", "7491", 200405 * us}, {"16", "74b5", 247517 * us}},
	},
	"bme688": {
		"oversampling": {{"1", "7425", 159182 * us}, {"2", "7449", 165071 * us}, {"4", "746d", 176849 * us}, {"8", "7491", 200405 * us}, {"16", "74b5", 247517 * us}},
	},
}

// A writtenBus keeps what is written.
type writtenBus struct {
	i2c.Bus
	writes []string
}

func (b *writtenBus) Tx(addr uint16, w, r []byte) error {
	b.writes = append(b.writes, fmt.Sprintf("%x", w))
	return b.Bus.Tx(addr, w, r)
}

// Each choice of each setting is what the data sheet has for it: what another one
// would read is right, too, and coarser, noisier or later.
func TestSettings(t *testing.T) {
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		if d.Describe != nil || c.Options["description"] != "" {
			continue
		}
		c.eachChoice(d, func(setting, choice string, options map[string]string) {
			if choice == "auto" {
				return // has a test of its own
			}
			model := settings[c.model][setting]
			at := slices.IndexFunc(model, func(s chosen) bool { return s.choice == choice })
			if at < 0 {
				t.Errorf("%s, %s=%s isn't in the table", c.model, setting, choice)
				return
			}
			c.hold(t, d, options, model[at])
		})
	}
}

func (c chipCase) hold(t *testing.T, d *sensors.Driver, options map[string]string, want chosen) {
	var channels []string
	if len(c.Channels) > 0 || c.driver == "ads1115" {
		channels = []string{"a0"}
	}
	e := sensortest.New(t, d, options, channels...)
	c.World(e)
	bus := &writtenBus{Bus: e.Bus}
	e.Bus = bus
	_, _, err := sensortest.Read(t, d, e)
	near := func(w time.Duration) bool { return (w - want.takes).Abs() <= 2*us }
	if sensors.ReasonOf(err) != sensors.OutOfRange && err != nil || !slices.Contains(bus.writes, want.write) || !slices.ContainsFunc(e.Waits, near) {
		t.Errorf("%s %v writes %s, waits %s (%v), want %s and %s", c.model, options, bus.writes, e.Waits, err, want.write, want.takes)
	}
}

// widerRanges are those of chips that say more than their accuracy is known for.
var widerRanges = map[string]sensors.Range{
	"bh1750 illuminance":   {Min: 0, Max: 54612.5},  // 65535/1.2
	"scd30 carbon_dioxide": {Min: 0, Max: 40000},    // what the chip can tell
	"scd4x carbon_dioxide": {Min: 0, Max: 40000},    // as that
	"scd4x humidity":       {Min: 0, Max: 1},        // as that
	"tmp102 temperature":   {Min: -55, Max: 128},    // 12 bits, and an LM75's least
	"veml7700 illuminance": {Min: 0, Max: 150000},   // 65534 counts, corrected
	"hts221 humidity":      {Min: -0.05, Max: 1.05}, // these four overshoot, and are cut
	"htu21d humidity":      {Min: -0.05, Max: 1.05},
	"scd30 humidity":       {Min: -0.05, Max: 1.05},
	"sht4x humidity":       {Min: -0.05, Max: 1.05},
}

var toldRange = regexp.MustCompile(`(temperature|humidity|pressure|illuminance|carbon dioxide)(?: of the air)? (-?\d+) to (\d+) (°C|%|hPa|lx|ppm)`)

// What is plausible is what the chip measures by its data sheet, as its summary
// says to people.
func TestRangesAreAsTold(t *testing.T) {
	told := 0
	for _, d := range sensors.Drivers() {
		if _, err := d.Option("addr"); err != nil {
			continue
		}
		for _, m := range toldRange.FindAllStringSubmatch(d.Summary, -1) {
			name := strings.ReplaceAll(m[1], " ", "_")
			at := slices.IndexFunc(d.Measures, func(q *sensors.Quantity) bool { return q.Name == name })
			if at < 0 {
				t.Errorf("%s doesn't measure %s", d.Name, m[1])
				continue
			}
			unit := d.Measures[at].BaseUnit()
			low, err := unit.Parse(m[2] + m[4])
			if err != nil {
				t.Fatal(err)
			}
			high, err := unit.Parse(m[3] + m[4])
			if err != nil {
				t.Fatal(err)
			}
			told++
			if wider, ok := widerRanges[d.Name+" "+name]; ok {
				low, high = wider.Min, wider.Max
			}
			if r := d.Measures[at].Range; math.Abs(r.Min-low) > 1e-9 || math.Abs(r.Max-high) > 1e-9 {
				t.Errorf("%s: %s is %v to %v, and its summary says %v to %v", d.Name, m[1], r.Min, r.Max, low, high)
			}
		}
	}
	if told < 40 {
		t.Errorf("only %d ranges are told", told)
	}
}
