package all

import (
	"encoding/binary"
	"fmt"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/sensortest"
)

// A world is what a simulated chip measures in the first wake and in the next,
// by the names that sim.World takes.
type world map[string][2]float64

// at is sim.World: what it measures at a moment.
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
	model string // of package sim
	world world
	sensortest.Case
}

// chip makes the case whole.
func (c chipCase) chip() sensortest.Case {
	var device *sim.Device
	c.World = func(e *sensortest.Env) {
		device = sim.NewDevice(c.model, e.Now, c.world.at)
		e.Bus = device
	}
	c.Next = func(*sensortest.Env) {} // an hour later it measures something else
	c.Reset = func(*sensortest.Env) { device.Reset() }
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
		}}.chip()},
		"sht4x": {chipCase{model: "sht4x", world: air, Case: sensortest.Case{
			Others: asks([]byte{0x89}, []byte{0xe0}, []byte{0xf6}, []byte{0x94}, []byte{0x24}),
		}}.chip()},
		"tmp102": {
			chipCase{model: "tmp102", world: air, Case: sensortest.Case{
				Others: asks([]byte{0x00}, []byte{0x01, 0x60, 0xa0}, []byte{0x01, 0xe1, 0xb0}, []byte{0x03}),
				Faults: []sensortest.Fault{bitNeverSet("converts for ever")},
			}}.chip(),
			chipCase{model: "tmp75", world: air, Case: sensortest.Case{Options: options("model", "tmp75"), Others: lm75Others}}.chip(),
			chipCase{model: "lm75", world: air, Case: sensortest.Case{Options: options("model", "lm75"), Others: lm75Others}}.chip(),
			chipCase{model: "lm75b", world: air, Case: sensortest.Case{Options: options("model", "lm75b"), Others: lm75Others}}.chip(),
		},
		"ads1115": {
			chipCase{model: "ads1115", world: inputs, Case: sensortest.Case{
				Others: asks([]byte{0x00}, []byte{0x01, 0xc5, 0x83}, []byte{0x01, 0x84, 0x83}, []byte{0x02}),
				Faults: []sensortest.Fault{bitNeverSet("converts for ever")},
				Excused: map[sensortest.Kind]string{
					sensortest.Another: "a conversion that another program begins in the half millisecond between the look at the chip and our start is taken for ours",
				},
			}}.chip(),
			chipCase{model: "ads1015", world: inputs, Case: sensortest.Case{Options: options("model", "ads1015"), Channels: []string{"a0", "a2-a3"}}}.chip(),
		},
		"bh1750": {chipCase{model: "bh1750", world: world{"illuminance": {500, 320}}, Case: sensortest.Case{
			Others: asks([]byte{0x00}, []byte{0x21}, []byte{0x10}, []byte{0x07}),
			Excused: map[sensortest.Kind]string{
				sensortest.WrittenBit: "nothing can be read back: the last command in another mode halves or doubles the value, another command leaves the previous result",
				sensortest.Another:    "another mode doubles the value, another command leaves the previous result or 0",
			},
		}}.chip()},
		"mcp9808": {chipCase{model: "mcp9808", world: air, Case: sensortest.Case{
			Others: asks([]byte{0x05}, []byte{0x01, 0x00, 0x00}, []byte{0x01, 0x01, 0x00}, []byte{0x08, 0x00}),
		}}.chip()},
	})
}

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
		p = append(p, sensors.CRC8(0x31, 0xff, byte(w>>8), byte(w)))
	}
	return p
}
