package all

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim/chips"
	"example.org/dormouse/sensors/crc"
	"example.org/dormouse/sensors/sensortest"
)

// A world is what a simulated chip measures in the first wake and in the next,
// by the names that chips.World takes.
type world map[string][2]float64

// at is chips.World: what it measures at a moment.
func (w world) at(at sensors.Instant, what string) float64 {
	values, ok := w[what]
	switch {
	case !ok:
		panic(fmt.Sprintf("%q is measured, which the case doesn't have", what))
	case at.Before(sensortest.Start.Add(time.Hour / 2)):
		return values[0]
	}
	return values[1]
}

// A chipCase is a case with a simulated chip, which takes as long as the data
// sheet allows and keeps what a real one keeps.
type chipCase struct {
	model  string // of package sim
	driver string // empty: as the model
	world  world
	step   float64 // the chip's coarsest resolution; 0: 0.01
	sensortest.Case
}

// simulatedCases are all that have been made whole.
var simulatedCases []chipCase

// chip makes the case whole.
func (c chipCase) chip() sensortest.Case {
	if c.driver == "" {
		c.driver = c.model
	}
	var device *chips.Device
	c.World = func(e *sensortest.Env) {
		device = chips.NewDevice(c.model, e.Now, c.world.at)
		e.Bus = device
	}
	c.Next = func(*sensortest.Env) {} // an hour later it measures something else
	c.Reset = func(*sensortest.Env) { device.Reset() }
	if c.Driver == nil { // a described chip is compared with one of these
		simulatedCases = append(simulatedCases, c)
	}
	return c.Case
}

// asks are commands and registers that another program may use.
func asks(writes ...[]byte) []sensortest.Transaction {
	var list []sensortest.Transaction
	for _, w := range writes {
		list = append(list, sensortest.Transaction{Write: w})
	}
	return list
}

func options(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

// raw is several numbers of one byte each.
func raw(p ...byte) []byte { return p }

var (
	air    = world{"temperature": {21.5, 24.25}, "humidity": {0.48, 0.61}, "pressure": {100800, 99500}}
	inputs = world{"voltage a0": {1.25, 1.5}, "voltage a1": {3.7, 3.1}, "voltage a2": {0.001, -0.2}, "voltage a3": {0.5, 0}}
)

func init() {
	addCases(map[string][]sensortest.Case{
		"bme280": {chipCase{model: "bme280", world: air, Case: sensortest.Case{
			Others: asks([]byte{0xf4, 0x27}, []byte{0xf4, 0x24}, []byte{0xf5, 0x10}, []byte{0xf2, 0x00}, []byte{0xe0, 0xb6}, []byte{0xd0}),
			Faults: []sensortest.Fault{answering("measures for ever", func(w, r []byte) {
				if w[0] == 0xf3 && len(r) > 1 {
					r[0] |= 1 << 3
				}
			})},
		}}.chip(), chipCase{model: "bmp280", driver: "bme280", world: air, Case: sensortest.Case{
			Others: asks([]byte{0xf4, 0x27}, []byte{0xf5, 0x10}, []byte{0xe0, 0xb6}, []byte{0xd0}),
		}}.chip()},
		"sht4x": {chipCase{model: "sht4x", world: air, Case: sensortest.Case{
			Others: asks([]byte{0x89}, []byte{0xe0}, []byte{0xf6}, []byte{0x94}, []byte{0x24}),
		}}.chip()},
		"tmp102": {
			chipCase{model: "tmp102", world: air, Case: sensortest.Case{
				Others: asks([]byte{0x00}, []byte{0x01, 0x60, 0xa0}, []byte{0x01, 0xe1, 0xb0}, []byte{0x03}),
				Faults: []sensortest.Fault{bitNeverSet("converts for ever")},
			}}.chip(),
			chipCase{model: "tmp75", driver: "tmp102", world: air, Case: sensortest.Case{Options: options("model", "tmp75"), Others: lm75Others}}.chip(),
			chipCase{model: "lm75", driver: "tmp102", world: air, step: 0.5, Case: sensortest.Case{Options: options("model", "lm75"), Others: lm75Others}}.chip(),
			chipCase{model: "lm75b", driver: "tmp102", world: air, Case: sensortest.Case{Options: options("model", "lm75b"), Others: lm75Others}}.chip(),
		},
		"ads1115": {
			chipCase{model: "ads1115", world: inputs, Case: sensortest.Case{
				Others: asks([]byte{0x00}, []byte{0x01, 0xc5, 0x83}, []byte{0x01, 0x84, 0x83}, []byte{0x02}),
				Faults: []sensortest.Fault{bitNeverSet("converts for ever")},
				Excused: map[sensortest.Kind]string{
					sensortest.Another: "a conversion that another program begins in the half millisecond between the look at the chip and our start is taken for ours",
				},
			}}.chip(),
			chipCase{model: "ads1015", driver: "ads1115", world: inputs, Case: sensortest.Case{Options: options("model", "ads1015"), Channels: []string{"a0", "a2-a3"}}}.chip(),
		},
		"bh1750": {chipCase{model: "bh1750", world: world{"illuminance": {500, 320}}, Case: sensortest.Case{
			Others: asks([]byte{0x00}, []byte{0x21}, []byte{0x10}, []byte{0x07}),
			Excused: map[sensortest.Kind]string{
				sensortest.WrittenBit: "nothing can be read back: the last command in another mode halves or doubles the value, another measuring time scales it, another command leaves the previous result",
				sensortest.Another:    "another mode doubles the value, another command leaves the previous result or 0",
			},
		}}.chip()},
		"sht3x": {
			chipCase{model: "sht3x", world: air, Case: sensortest.Case{Others: sht3xOthers}}.chip(),
			chipCase{model: "sts3x", driver: "sht3x", world: air, Case: sensortest.Case{Options: options("model", "sts3x", "addr", "0x4a"), Others: sht3xOthers, Undetected: crc8}}.chip(),
			chipCase{model: "shtc3", driver: "sht3x", world: air, Case: sensortest.Case{Options: options("model", "shtc3", "addr", "0x70"),
				Others: asks(raw(0xef, 0xc8), raw(0xb0, 0x98), raw(0x35, 0x17), raw(0x60, 0x9c), raw(0x80, 0x5d))}}.chip(),
		},
		"hdc302x": {chipCase{model: "hdc302x", world: air, Case: sensortest.Case{Others: sht3xOthers}}.chip()},
		"htu21d": {
			chipCase{model: "htu21d", world: air, Case: sensortest.Case{Others: htu21dOthers, Undetected: crc8}}.chip(),
			chipCase{model: "sht2x", driver: "htu21d", world: air, Case: sensortest.Case{Options: options("model", "sht2x"), Others: htu21dOthers, Undetected: crc8}}.chip(),
			chipCase{model: "si7021", driver: "htu21d", world: air, Case: sensortest.Case{Options: options("model", "si7021"), Others: htu21dOthers, Undetected: crc8}}.chip(),
		},
		"aht20": {
			chipCase{model: "aht20", world: air, Case: sensortest.Case{Others: aht20Others, Undetected: crc8}}.chip(),
			chipCase{model: "aht10", driver: "aht20", world: air, Case: sensortest.Case{Options: options("model", "aht10"), Others: aht20Others}}.chip(),
		},
		"hdc1080": {chipCase{model: "hdc1080", world: air, Case: sensortest.Case{
			Others: asks(raw(0xfe), raw(0xff), raw(0x00), raw(0x01), raw(0x02, 0x30, 0x00), raw(0x02, 0x00, 0x00), raw(0x02, 0x14, 0x00)),
			Excused: map[sensortest.Kind]string{
				sensortest.OneBit:  hdc1080Excuse,
				sensortest.TwoBits: hdc1080Excuse,
				sensortest.Short:   hdc1080Excuse,
			},
		}}.chip()},
		"ina219": {chipCase{model: "ina219", world: power, Case: sensortest.Case{
			Others: asks(raw(0x02), raw(0x00, 0x39, 0x9f), raw(0x00, 0x38, 0x00), raw(0x00, 0x80, 0x00), raw(0x05, 0x10, 0x00)),
		}}.chip()},
		"ina226": {chipCase{model: "ina226", world: power, Case: sensortest.Case{Others: ina226Others}}.chip()},
		"ina260": {chipCase{model: "ina260", world: power, Case: sensortest.Case{Others: ina226Others}}.chip()},
		"ina3221": {
			chipCase{model: "ina3221", world: threePowers, Case: sensortest.Case{Others: ina226Others}}.chip(),
			chipCase{model: "ina3221", world: threePowers, Case: sensortest.Case{Channels: []string{"ch2"}}}.chip(),
		},
		"tmp117": {chipCase{model: "tmp117", world: air, Case: sensortest.Case{
			Others: asks(raw(0x00), raw(0x01, 0x02, 0x20), raw(0x01, 0x0c, 0x00), raw(0x01, 0x04, 0x20), raw(0x01, 0x00, 0x02)),
		}}.chip()},
		"adt7410": {chipCase{model: "adt7410", world: air, Case: sensortest.Case{
			Others: asks(raw(0x00), raw(0x03, 0x00), raw(0x03, 0x20), raw(0x03, 0x60), raw(0x2f)),
		}}.chip()},
		"ds1621": {chipCase{model: "ds1621", world: world{"temperature": {21.5, 24}}, Case: sensortest.Case{
			Others: asks(raw(0xaa), raw(0xee), raw(0x22), raw(0xac, 0x01)),
		}}.chip()},
		"bmp180": {
			chipCase{model: "bmp180", world: air, step: 0.1, Case: sensortest.Case{
				Others: asks(raw(0xf4, 0x2e), raw(0xf4, 0x34), raw(0xf4, 0x74), raw(0xe0, 0xb6), raw(0xd0)),
				Excused: map[sensortest.Kind]string{
					sensortest.Another: "a conversion of the other quantity that another program begins while ours is under way is taken for ours",
				},
			}}.chip(),
			chipCase{model: "bmp180", world: air, step: 0.1, Case: sensortest.Case{Options: options("oversampling", "8")}}.chip(),
		},
		"scd4x": {
			chipCase{model: "scd41", driver: "scd4x", world: breath, Case: sensortest.Case{Others: scd4xOthers}}.chip(),
			chipCase{model: "scd40", driver: "scd4x", world: breath, Case: sensortest.Case{Options: options("model", "scd40"), Others: append(scd4xOthers, asks(raw(0x21, 0x9d))...)}}.chip(),
		},
		"lps22hb": {
			chipCase{model: "lps22hb", world: air, Case: sensortest.Case{
				Others: asks(raw(0x0f), raw(0x10, 0x00), raw(0x10, 0x22), raw(0x10, 0x52), raw(0x11, 0x10), raw(0x11, 0x11), raw(0x11, 0x14), raw(0x27)),
			}}.chip(),
			chipCase{model: "lps25h", driver: "lps22hb", world: air, Case: sensortest.Case{Options: options("model", "lps25h"),
				Others: asks(raw(0x0f), raw(0x20, 0x00), raw(0x20, 0x90), raw(0x20, 0xc4), raw(0x21, 0x00), raw(0x21, 0x01), raw(0x21, 0x84), raw(0x27))}}.chip(),
		},
		"hts221": {chipCase{model: "hts221", world: air, step: 0.05, Case: sensortest.Case{
			Others: asks(raw(0x0f), raw(0x20, 0x00), raw(0x20, 0x85), raw(0x21, 0x00), raw(0x21, 0x01), raw(0x21, 0x02), raw(0x27)),
		}}.chip()},
		"tsl2561": {chipCase{model: "tsl2561", world: world{"illuminance": {500, 320}}, step: 0.05, Case: sensortest.Case{
			Others: asks(raw(0x8a), raw(0x80, 0x00), raw(0x80, 0x03), raw(0x81, 0x02), raw(0x81, 0x11)),
		}}.chip()},
		"bmp388": {chipCase{model: "bmp388", world: air, Case: sensortest.Case{
			Others: asks(raw(0x00), raw(0x03), raw(0x1b, 0x13), raw(0x1b, 0x33), raw(0x1b, 0x00), raw(0x1c, 0x00), raw(0x1f, 0x0e), raw(0x7e, 0xb6)),
		}}.chip()},
		"bme680": {
			chipCase{model: "bme680", world: gassy, Case: sensortest.Case{Others: bme680Others}}.chip(),
			chipCase{model: "bme688", driver: "bme680", world: gassy, Case: sensortest.Case{Options: options("addr", "0x77"), Others: bme680Others, Faults: []sensortest.Fault{
				answering("measures for ever", func(w, r []byte) {
					if w[0] == 0x1d && len(r) > 1 {
						r[0] |= 1 << 6
					}
				}),
				answering("its heater stays cold", func(w, r []byte) {
					if w[0] == 0x1d && len(r) > 1 {
						r[16] &^= 1 << 4
					}
				}),
			}}}.chip(),
		},
		"dps310": {
			chipCase{model: "dps310", world: air, Case: sensortest.Case{Others: dps310Others}}.chip(),
			chipCase{model: "dps310-internal", driver: "dps310", world: air, Case: sensortest.Case{Options: options("addr", "0x76"), Others: dps310Others}}.chip(),
			chipCase{model: "dps310-fuse", driver: "dps310", world: air, Case: sensortest.Case{Others: dps310Others, Excused: map[sensortest.Kind]string{
				sensortest.WrittenBit: "the correction of a wrong fuse can't be read back",
			}}}.chip(),
		},
		"scd30": {
			chipCase{model: "scd30", world: breath, Case: sensortest.Case{Others: scd30Others}}.chip(),
			chipCase{model: "scd30-new", driver: "scd30", world: breath, Case: sensortest.Case{Others: scd30Others}}.chip(),
			chipCase{model: "scd30-slow", driver: "scd30", world: breath, Case: sensortest.Case{Others: scd30Others}}.chip(),
		},
		"tsl2591": {chipCase{model: "tsl2591", world: world{"illuminance": {500, 320}}, Case: sensortest.Case{
			Others: asks(raw(0xb2), raw(0xa0, 0x00), raw(0xa0, 0x03), raw(0xa1, 0x05), raw(0xa1, 0x30), raw(0xa1, 0x80)),
		}}.chip()},
		"ltr559": {chipCase{model: "ltr559", world: world{"illuminance": {500, 320}}, Case: sensortest.Case{
			Others: asks(raw(0x86), raw(0x88), raw(0x80, 0x00), raw(0x80, 0x01), raw(0x80, 0x1d), raw(0x80, 0x02), raw(0x85, 0x03), raw(0x85, 0x08)),
		}}.chip()},
		"veml7700": {chipCase{model: "veml7700", world: world{"illuminance": {500, 320}}, Case: sensortest.Case{
			Others: asks(raw(0x07), raw(0x05), raw(0x00, 0x00, 0x00), raw(0x00, 0x01, 0x00), raw(0x00, 0x00, 0x18), raw(0x03, 0x07, 0x00)),
		}}.chip()},
		"mcp9808": {chipCase{model: "mcp9808", world: air, Case: sensortest.Case{
			Others: asks([]byte{0x05}, []byte{0x01, 0x00, 0x00}, []byte{0x01, 0x01, 0x00}, []byte{0x08, 0x00}),
		}}.chip()},
	})
}

// crc8 is the share of random bytes that pass one checksum of 8 bits.
const crc8 = 1. / 256

const hdc1080Excuse = "a result can't be read twice, so it is measured twice: a disturbance below 0.3 °C and 1 %, within the chip's accuracy, isn't seen"

var (
	power       = world{"voltage": {11.98, 5.02}, "current": {0.2, -0.15}, "power": {2.396, -0.753}}
	threePowers = world{
		"voltage ch1": {11.984, 5.024}, "current ch1": {0.2, -0.15}, "power ch1": {2.3968, -0.7536},
		"voltage ch2": {3.304, 3.296}, "current ch2": {0, 0.5}, "power ch2": {0, 1.648},
		"voltage ch3": {0, 24}, "current ch3": {0.01, 1.2}, "power ch3": {0, 28.8},
	}

	breath = world{"carbon_dioxide": {612, 950}, "temperature": {21.5, 24.25}, "humidity": {0.48, 0.61}}
	gassy  = world{"temperature": {21.5, 24.25}, "humidity": {0.48, 0.61}, "pressure": {100800, 99500}, "resistance": {52_000, 810_000}}

	bme680Others = asks(raw(0xd0), raw(0x1d), raw(0x74, 0x25), raw(0x74, 0x24), raw(0x74, 0x49), raw(0x5a, 0x30), raw(0x64, 0x05), raw(0x70, 0x08), raw(0x71, 0x00), raw(0x72, 0x00), raw(0x75, 0x08), raw(0xe0, 0xb6))

	dps310Others = asks(raw(0x0d), raw(0x08), raw(0x08, 0x07), raw(0x08, 0x00), raw(0x06, 0x00), raw(0x07, 0x40), raw(0x09, 0x00), raw(0x0c, 0x09))

	scd30Others = asks(raw(0xd1, 0x00), raw(0x46, 0x00), raw(0x02, 0x02), raw(0x03, 0x00), raw(0x53, 0x06), raw(0x01, 0x04), raw(0xd3, 0x04), raw(0x00, 0x10, 0x00, 0x00, 0x81))

	// For 5 s after another program's single shot an SCD41 answers nothing: so it
	// isn't among these.
	scd4xOthers = asks(raw(0x36, 0x82), raw(0xe4, 0xb8), raw(0xec, 0x05), raw(0x3f, 0x86), raw(0x21, 0xb1), raw(0x36, 0x46))

	sht3xOthers = asks(raw(0x36, 0x82), raw(0x24, 0x16), raw(0xf3, 0x2d), raw(0x30, 0xa2), raw(0x30, 0x6d), raw(0x20, 0x32), raw(0x30, 0x93), raw(0x37, 0x81))

	htu21dOthers = asks(raw(0xfc, 0xc9), raw(0xe7), raw(0xf3), raw(0xf5), raw(0xfe), raw(0xe6, 0x3e), raw(0xe6, 0x83))
	aht20Others  = asks(raw(0xac, 0x33, 0x00), raw(0x71), raw(0xba))
	ina226Others = asks(raw(0x02), raw(0x06), raw(0x00, 0x41, 0x27), raw(0x00, 0x41, 0x20), raw(0x00, 0x80, 0x00), raw(0x05, 0x10, 0x00))
)

var lm75Others = asks([]byte{0x00}, []byte{0x01, 0x00}, []byte{0x01, 0x01}, []byte{0x03})

// answering changes what the chip answers to what is written.
func answering(name string, change func(w, r []byte)) sensortest.Fault {
	return sensortest.Fault{Name: name, Break: func(e *sensortest.Env) { e.Answer(change) }}
}

// bitNeverSet keeps the highest bit of register 1 down: of a TMP102 and an
// ADS1115 it says that the conversion has ended.
func bitNeverSet(name string) sensortest.Fault {
	return answering(name, func(w, r []byte) {
		if w[0] == 1 && len(r) > 0 {
			r[0] &= 0x7f
		}
	})
}

func checked(words ...uint16) []byte {
	var p []byte
	for _, w := range words {
		p = binary.BigEndian.AppendUint16(p, w)
		p = append(p, crc.Sum8(0x31, 0xff, byte(w>>8), byte(w)))
	}
	return p
}

// TestSimulatedCases holds what the drivers read from the models of the fault
// test against what these measure: two readings of each data sheet, made
// apart, must agree.
func TestSimulatedCases(t *testing.T) {
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		e := sensortest.New(t, d, c.Options, c.Channels...)
		c.World(e)
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Errorf("%s: %v", c.model, err)
			continue
		}
		for wake := range 2 {
			got, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil || len(failures) > 0 || len(got) == 0 {
				t.Errorf("%s: %d readings, failures %v, error %v", c.model, len(got), failures, err)
			}
			for _, r := range got {
				name := strings.Join(append([]string{r.Quantity.Name}, r.Labels...), " ")
				if len(r.Labels) == 1 && strings.Contains(r.Labels[0], "-") {
					continue // a difference of two inputs
				}
				want, ok := c.world[name]
				if !ok || math.Abs(r.Value-want[wake]) > max(0.7*max(c.step, 0.01), 1e-3*math.Abs(want[wake])) {
					t.Errorf("%s: %s is %v, want %v", c.model, name, r.Value, want[wake])
				}
			}
			e.NextWake(time.Hour)
		}
	}
}
