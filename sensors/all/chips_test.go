package all

import (
	"encoding/binary"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

func init() {
	addCases(map[string][]sensortest.Case{
		"bme280": {
			{World: bme280World, Faults: []sensortest.Fault{{Name: "measures for ever", Break: func(e *sensortest.Env) {
				healthy := e.Bus
				e.Bus = sensortest.Chip(func(w, r []byte) error {
					err := healthy.Tx(0, w, r)
					if w[0] == 0xf3 && len(r) > 1 {
						r[0] |= 1 << 3
					}
					return err
				})
			}}}},
		},
		"sht4x": {{World: sht4xWorld, Checked: true}},
		"tmp102": {
			{World: tmp102World(0x1910, 2), Faults: []sensortest.Fault{bitNeverSet("converts for ever")}},
			{World: tmp102World(0x1910, 1), Options: map[string]string{"model": "tmp75"}},
			{World: tmp102World(0x1900, 1), Options: map[string]string{"model": "lm75"}},
		},
		"ads1115": {
			{World: ads1115World(0x1230), Faults: []sensortest.Fault{bitNeverSet("converts for ever")}},
			{World: ads1115World(0x1230), Options: map[string]string{"model": "ads1015"}, Channels: []string{"a0", "a2-a3"}},
		},
		"bh1750":  {{World: bh1750World}},
		"mcp9808": {{World: mcp9808World}},
	})
}

func bh1750World(e *sensortest.Env) {
	measured := false
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		measured = measured || len(w) == 1 && w[0]&0xf0 == 0x20
		if measured {
			copy(r, []byte{0x01, 0x10})
		}
		return nil
	})
}

func mcp9808World(e *sensortest.Env) {
	regs := map[byte]uint16{1: 0, 5: 0xc194, 6: 0x0054, 7: 0x0400}
	resolution := byte(3)
	chip := sensortest.WordRegisters(regs, nil)
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		if len(w) == 0 || w[0] != 8 {
			return chip(w, r)
		}
		if len(w) == 2 {
			resolution = w[1]
		}
		if len(r) > 0 {
			r[0] = resolution
		}
		return nil
	})
}

// bitNeverSet keeps the highest bit of register 1 down: of a TMP102 and an
// ADS1115 it says that the conversion has ended.
func bitNeverSet(name string) sensortest.Fault {
	return sensortest.Fault{Name: name, Break: func(e *sensortest.Env) {
		healthy := e.Bus
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			err := healthy.Tx(0, w, r)
			if w[0] == 1 && len(r) > 0 {
				r[0] &= 0x7f
			}
			return err
		})
	}}
}

// bme280World has the BMP280 data sheet's example and a plausible humidity.
func bme280World(e *sensortest.Env) {
	var regs [256]byte
	regs[0xd0] = 0x60
	for i, v := range []int{27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000} {
		binary.LittleEndian.PutUint16(regs[0x88+2*i:], uint16(v))
	}
	regs[0xa1] = 75
	copy(regs[0xe1:], []byte{0x69, 0x01, 0x00, 0x14, 0x25, 0x03, 30})
	copy(regs[0xf7:], []byte{0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x6e, 0x00})
	chip := sensortest.ByteRegisters(&regs)
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		err := chip(w, r)
		regs[0xf4] &^= 3 // each measurement has ended at once
		return err
	})
}

func sht4xWorld(e *sensortest.Env) {
	var answer []byte
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		switch {
		case len(w) == 1 && w[0] == 0x89:
			answer = checked(0x0f4c, 0x1a25)
		case len(w) == 1 && w[0] == 0xfd:
			answer = checked(0x6666, 0x7a00)
		case len(r) > 0 && answer == nil:
			return sensortest.ErrNACK
		case len(r) > 0:
			copy(r, answer)
			answer = nil
		}
		return nil
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

// tmp102World is one of the family with a configuration of so many bytes.
func tmp102World(raw uint16, configBytes int) func(e *sensortest.Env) {
	return func(e *sensortest.Env) {
		regs := map[byte]uint16{0: raw, 2: 0x4b00, 3: 0x5000}
		chip := sensortest.WordRegisters(regs, nil)
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			if configBytes == 1 && len(w) == 2 {
				regs[1] = uint16(w[1]&^0x80) << 8 // the one-shot bit reads 0
				return nil
			}
			return chip(w, r)
		})
	}
}

func ads1115World(raw uint16) func(e *sensortest.Env) {
	return func(e *sensortest.Env) {
		e.Bus = sensortest.WordRegisters(map[byte]uint16{0: raw, 1: 0x8583, 2: 0x8000, 3: 0x7fff}, nil)
	}
}
