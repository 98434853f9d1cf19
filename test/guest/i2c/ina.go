package i2c

import (
	"fmt"
	"time"
)

// ina is one of TI's power monitors: INA219 (SBOS448), INA226 (SBOS547), INA260
// (SBOS656), INA3221 (SBOS576). Their values are register contents: "shunt" and
// "bus", of the INA260 "current" and "bus", of the INA3221 "shunt1" to "bus3".
type ina struct {
	words
	conversion
	kind   *inaKind
	values map[string]*int
}

// An inaKind is how they differ.
type inaKind struct {
	config uint16           // after power-up
	ids    [2]uint16        // registers 0xFE and 0xFF
	flags  uint8            // register with the flag that a conversion has ended
	flag   uint16           // that bit
	reads  uint8            // the register whose reading clears it
	inputs map[string]uint8 // values and their registers
	least  int              // bits below a result's lowest
	takes  func(config uint16) time.Duration
	derive func(i *ina) // what is computed in the chip
}

// inaTimes are those of a conversion by its code, in µs: table 7 of SBOS547.
var inaTimes = [8]time.Duration{140, 204, 332, 588, 1100, 2116, 4156, 8244}

// inaSamples are by the code of AVG: table 6 of SBOS547.
var inaSamples = [8]time.Duration{1, 4, 16, 64, 128, 256, 512, 1024}

func inaDuration(inputs time.Duration) func(uint16) time.Duration {
	return func(config uint16) time.Duration {
		return inputs * inaSamples[config>>9&7] * (inaTimes[config>>6&7] + inaTimes[config>>3&7]) * time.Microsecond
	}
}

var inaKinds = map[string]*inaKind{
	"ina219": {
		// No IDs. BADC and SADC: 9 to 12 bits, or from 8 on 2^n samples of 12 bits.
		config: 0x399f, flags: 2, flag: 2, reads: 3, inputs: map[string]uint8{"shunt": 1, "bus": 2}, least: 3,
		takes: func(config uint16) time.Duration {
			one := func(code uint16) time.Duration {
				if code&8 == 0 {
					return [4]time.Duration{84, 148, 276, 532}[code&3]
				}
				return 532 << (code & 7)
			}
			return (one(config>>7) + one(config>>3)) * time.Microsecond
		},
		// Section 8.5.1: the current is shunt · calibration / 4096, the power current ·
		// bus / 5000.
		derive: func(i *ina) { i.multiply(4096, 5000, int(i.word(2)>>3)) },
	},
	"ina226": {
		config: 0x4127, ids: [2]uint16{0x5449, 0x2260}, flags: 6, flag: 1 << 3, reads: 6,
		inputs: map[string]uint8{"shunt": 1, "bus": 2}, takes: inaDuration(1),
		// Section 6.5.1 of SBOS547.
		derive: func(i *ina) { i.multiply(2048, 20000, int(i.word(2))) },
	},
	"ina260": {
		config: 0x6127, ids: [2]uint16{0x5449, 0x2270}, flags: 6, flag: 1 << 3, reads: 6,
		inputs: map[string]uint8{"current": 1, "bus": 2}, takes: inaDuration(1),
		// In 10 mW; current and bus are in 1.25 mA and 1.25 mV.
		derive: func(i *ina) { i.setWord(3, uint16(abs(int(int16(i.word(1))))*int(i.word(2))/6400)) },
	},
	"ina3221": {
		config: 0x7127, ids: [2]uint16{0x5449, 0x3220}, flags: 15, flag: 1, reads: 15, least: 3,
		inputs: map[string]uint8{"shunt1": 1, "bus1": 2, "shunt2": 3, "bus2": 4, "shunt3": 5, "bus3": 6},
		takes:  inaDuration(3), derive: func(*ina) {},
	},
}

func newINA(model string) *ina {
	i := &ina{kind: inaKinds[model], values: map[string]*int{}}
	for name := range i.kind.inputs {
		i.values[name] = new(int)
	}
	i.setPowerOn(0, i.kind.config)
	i.setPowerOn(0xfe, i.kind.ids[0])
	i.setPowerOn(0xff, i.kind.ids[1])
	return i
}

func (i *ina) Set(values map[string]int) error { return assign(values, i.values) }

func (i *ina) Reset(now time.Time) {
	i.words.Reset(now)
	i.begin(now, i.kind.takes(i.kind.config), true)
}

func (i *ina) Write(now time.Time, p []byte) bool {
	i.settle(now)
	v, ok := i.address(p)
	switch {
	case !ok:
	case i.pointer == 0 && v&0x8000 != 0:
		i.Reset(now)
	case i.pointer == 0:
		i.setWord(0, v)
		i.setWord(i.kind.flags, i.word(i.kind.flags)&^i.kind.flag)
		switch mode := v & 7; {
		case mode&3 == 0:
			i.stop()
		default:
			i.begin(now, i.kind.takes(v), mode&4 != 0)
		}
	case i.pointer == 5 || i.pointer == 7 && i.kind.flags != 15:
		i.setWord(i.pointer, v)
	}
	return true
}

func (i *ina) settle(now time.Time) {
	if !i.done(now) {
		return
	}
	for name, register := range i.kind.inputs {
		i.setWord(register, uint16(*i.values[name]<<i.kind.least))
	}
	if i.kind.flags == 2 { // the INA219's shunt voltage has all bits
		i.setWord(1, uint16(*i.values["shunt"]))
	}
	i.kind.derive(i)
	i.setWord(i.kind.flags, i.word(i.kind.flags)|i.kind.flag)
}

// multiply computes current and power from what was measured.
func (i *ina) multiply(current, power, bus int) {
	amperes := int(int16(i.word(1))) * int(i.word(5)) / current
	i.setWord(4, uint16(amperes))
	i.setWord(3, uint16(abs(amperes)*bus/power))
}

func (i *ina) Read(now time.Time, p []byte) bool {
	i.settle(now)
	ok := i.words.Read(now, p)
	if i.pointer == i.kind.reads {
		i.setWord(i.kind.flags, i.word(i.kind.flags)&^i.kind.flag)
	}
	return ok
}

func abs(v int) int { return max(v, -v) }

// INA219 measures a shunt's voltage in 10 µV and the bus's in 4 mV.
func INA219(shunt, bus int) Spec {
	return Spec{Model: "ina219", Values: map[string]int{"shunt": shunt, "bus": bus}}
}

// INA226 measures a shunt's voltage in 2.5 µV and the bus's in 1.25 mV.
func INA226(shunt, bus int) Spec {
	return Spec{Model: "ina226", Values: map[string]int{"shunt": shunt, "bus": bus}}
}

// INA260 measures a current in 1.25 mA and the bus's voltage in 1.25 mV.
func INA260(current, bus int) Spec {
	return Spec{Model: "ina260", Values: map[string]int{"current": current, "bus": bus}}
}

// INA3221 measures three shunts' voltages in 40 µV, "shunt1" to "shunt3", and
// three buses' in 8 mV, "bus1" to "bus3".
func INA3221(shunt, bus int) Spec {
	values := map[string]int{}
	for channel := 1; channel <= 3; channel++ {
		values[fmt.Sprintf("shunt%d", channel)], values[fmt.Sprintf("bus%d", channel)] = shunt, bus
	}
	return Spec{Model: "ina3221", Values: values}
}
