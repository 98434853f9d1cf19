// Package onewire models a 1-Wire bus with DS18B20 thermometers behind a
// DS2490 USB adapter, for a guest whose kernel drives it with its stock ds2490
// and w1_therm modules.
//
// The bus is modelled by time slots: in each, the master and every slave may
// pull the line low. Voltages and durations are not modelled: a conversion
// ends at once, and every slave has its own power supply.
package onewire

import (
	"encoding/binary"
	"fmt"
	"sort"
	"sync"
)

// familyDS18B20 is the first byte of the ROM code (DS18B20 data sheet, "64-bit
// lasered ROM code").
const familyDS18B20 = 0x28

// ROM and function commands (DS18B20 data sheet).
const (
	readROM         = 0x33
	matchROM        = 0x55
	skipROM         = 0xcc
	convertT        = 0x44
	writeScratchpad = 0x4e
	readScratchpad  = 0xbe
	copyScratchpad  = 0x48
	recallEEPROM    = 0xb8
	readPowerSupply = 0xb4
)

// state is what a slave expects next.
type state int

const (
	idle     state = iota // until the next reset
	command               // a ROM command
	matching              // 64 bits of ROM code
	function              // a function command
	writing               // scratchpad bytes 2 to 4
	sending               // bits of out
)

// thermometer is a DS18B20.
type thermometer struct {
	rom        uint64
	absent     bool
	badCRC     bool
	raw        int16 // what it would measure now, 1/16 °C
	scratchpad [8]byte
	eeprom     [3]byte

	state state
	in    uint64 // bits received
	n     int    // how many
	out   []byte // bytes to send
}

// Bus is a bus with its slaves.
type Bus struct {
	mu     sync.Mutex
	slaves map[uint64]*thermometer
}

// NewBus returns an empty bus.
func NewBus() *Bus { return &Bus{slaves: map[uint64]*thermometer{}} }

// Set adds the thermometer of a 48-bit serial number, or changes it: its
// temperature in 1/16 °C, whether it is pulled out, and whether its checksums
// are wrong. One that comes back has just been powered and reads 85 °C until
// it has converted.
func (b *Bus) Set(serial uint64, raw int16, absent, badCRC bool) error {
	if serial>>48 != 0 {
		return fmt.Errorf("serial number %x has more than 48 bits", serial)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.slaves[serial]
	if t == nil {
		t = &thermometer{rom: ROM(serial), absent: true, eeprom: [3]byte{0x4b, 0x46, 0x7f}}
		b.slaves[serial] = t
	}
	if t.absent && !absent {
		t.powerUp()
	}
	t.raw, t.absent, t.badCRC = raw, absent, badCRC
	return nil
}

// ROM is the 64-bit code of a serial number: family, serial, CRC.
func ROM(serial uint64) uint64 {
	var p [8]byte
	binary.LittleEndian.PutUint64(p[:], serial<<8|familyDS18B20)
	p[7] = crc8(p[:7])
	return binary.LittleEndian.Uint64(p[:])
}

// Name is the slave's directory in sysfs.
func Name(serial uint64) string { return fmt.Sprintf("%02x-%012x", familyDS18B20, serial) }

// Search lists the ROM codes of all slaves on the bus, in ascending order.
func (b *Bus) Search() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []uint64
	for _, t := range b.slaves {
		if !t.absent {
			found = append(found, t.rom)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i] < found[j] })
	return found
}

// Reset begins a new transaction.
func (b *Bus) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.slaves {
		t.expect(command)
	}
}

// Slot is one time slot: the master writes a bit, and reads back the line,
// which is low where any slave holds it low. A master that reads writes 1.
func (b *Bus) Slot(bit bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := bit
	for _, t := range b.slaves {
		if !t.absent && !t.slot(bit) {
			line = false
		}
	}
	return line
}

// Byte is eight slots, least significant bit first.
func (b *Bus) Byte(v byte) byte {
	var got byte
	for i := range 8 {
		if b.Slot(v>>i&1 == 1) {
			got |= 1 << i
		}
	}
	return got
}

// powerUp loads the power-on scratchpad: 85 °C (data sheet, "memory").
func (t *thermometer) powerUp() {
	t.scratchpad = [8]byte{0x50, 0x05, t.eeprom[0], t.eeprom[1], t.eeprom[2], 0xff, 0x0c, 0x10}
	t.state = idle
}

func (t *thermometer) expect(s state) { t.state, t.in, t.n = s, 0, 0 }

// slot takes the master's bit and returns the slave's: true lets the line go.
func (t *thermometer) slot(bit bool) bool {
	switch t.state {
	case idle:
		return true
	case sending:
		out := t.out[t.n/8]>>(t.n%8)&1 == 1
		if t.n++; t.n == 8*len(t.out) {
			t.state = idle
		}
		return out
	}
	if bit {
		t.in |= 1 << t.n
	}
	t.n++
	switch {
	case t.state == matching && t.n == 64:
		if t.in == t.rom {
			t.expect(function)
		} else {
			t.expect(idle)
		}
	case t.state == writing && t.n == 24:
		t.scratchpad[2], t.scratchpad[3], t.scratchpad[4] = byte(t.in), byte(t.in>>8), byte(t.in>>16)|0x1f
		t.expect(idle)
	case t.state == command && t.n == 8:
		t.romCommand(byte(t.in))
	case t.state == function && t.n == 8:
		t.functionCommand(byte(t.in))
	}
	return true
}

func (t *thermometer) romCommand(c byte) {
	switch c {
	case matchROM:
		t.expect(matching)
	case skipROM:
		t.expect(function)
	case readROM:
		t.send(binary.LittleEndian.AppendUint64(nil, t.rom))
	default:
		t.expect(idle)
	}
}

func (t *thermometer) functionCommand(c byte) {
	t.expect(idle)
	switch c {
	case convertT:
		// At lower resolutions the last bits read 0 (data sheet, table 2).
		bits := 3 - t.scratchpad[4]>>5&3
		binary.LittleEndian.PutUint16(t.scratchpad[:], uint16(t.raw)&^(1<<bits-1))
		t.scratchpad[6] = 0x10 - t.scratchpad[0]&0x0f // by which w1_therm.rst tells 85 °C from the value of power-up
	case writeScratchpad:
		t.expect(writing)
	case readScratchpad:
		crc := crc8(t.scratchpad[:])
		if t.badCRC {
			crc ^= 0x80
		}
		t.send(append(t.scratchpad[:len(t.scratchpad):len(t.scratchpad)], crc))
	case copyScratchpad:
		copy(t.eeprom[:], t.scratchpad[2:5])
	case recallEEPROM:
		copy(t.scratchpad[2:5], t.eeprom[:])
	case readPowerSupply:
		// A slave with its own supply answers 1, which is the idle line.
	}
}

func (t *thermometer) send(p []byte) {
	t.expect(sending)
	t.out = p
}

// crc8 is the 1-Wire checksum: X⁸+X⁵+X⁴+1, least significant bit first
// (DS18B20 data sheet, "CRC generation").
func crc8(p []byte) byte {
	var crc byte
	for _, v := range p {
		crc ^= v
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8c
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
