package i2c

import (
	"encoding/binary"
	"fmt"
	"time"
)

// memory is the content of up to 256 byte registers and their power-on values.
type memory struct {
	now, powerOn [256]byte
}

func (m *memory) preset(content map[int][]byte) error { return m.presetWidth(content, 1) }

func (m *memory) presetWidth(content map[int][]byte, width int) error {
	for reg, p := range content {
		if reg < 0 || reg*width+len(p) > len(m.powerOn) || len(p)%width != 0 {
			return fmt.Errorf("%d bytes don't fit from register 0x%02x on", len(p), reg)
		}
		copy(m.powerOn[reg*width:], p)
	}
	return nil
}

// put24 stores the lowest 24 bits of v, the most significant byte first.
func (m *memory) put24(register, v int) {
	m.now[register], m.now[register+1], m.now[register+2] = byte(v>>16), byte(v>>8), byte(v)
}

func (m *memory) Memory() []byte { return m.now[:] }

// registers is a chip of byte registers.
type registers struct {
	memory
	pointer uint8
}

func (r *registers) Set(values map[string]int) error { return assign(values, nil) }

func (r *registers) Reset(time.Time) { r.now, r.pointer = r.powerOn, 0 }

func (r *registers) Write(_ time.Time, p []byte) bool {
	if len(p) > 0 {
		r.pointer = p[0]
		for _, v := range p[1:] {
			r.now[r.pointer] = v
			r.pointer++
		}
	}
	return true
}

func (r *registers) Read(_ time.Time, p []byte) bool {
	for i := range p {
		p[i] = r.now[r.pointer]
		r.pointer++
	}
	return true
}

// words is a chip of up to 128 word registers behind a pointer.
type words struct {
	memory
	pointer uint8
}

func (w *words) preset(content map[int][]byte) error { return w.presetWidth(content, 2) }

func (w *words) Set(values map[string]int) error { return assign(values, nil) }

func (w *words) Reset(time.Time) { w.now, w.pointer = w.powerOn, 0 }

func (w *words) word(reg uint8) uint16       { return binary.BigEndian.Uint16(w.now[2*int(reg&0x7f):]) }
func (w *words) setWord(reg uint8, v uint16) { binary.BigEndian.PutUint16(w.now[2*int(reg&0x7f):], v) }
func (w *words) setPowerOn(reg uint8, v uint16) {
	binary.BigEndian.PutUint16(w.powerOn[2*int(reg&0x7f):], v)
}

func (w *words) Write(_ time.Time, p []byte) bool {
	if v, ok := w.address(p); ok {
		w.setWord(w.pointer, v)
	}
	return true
}

// address sets the pointer from a message and returns the word that follows
// it. An incomplete word is dropped, as the chips do.
func (w *words) address(p []byte) (v uint16, ok bool) {
	if len(p) > 0 {
		w.pointer = p[0]
	}
	if len(p) < 3 {
		return 0, false
	}
	return binary.BigEndian.Uint16(p[1:]), true
}

func (w *words) Read(_ time.Time, p []byte) bool {
	v := w.word(w.pointer)
	for i := range p {
		p[i] = byte(v >> (8 * (1 - i%2)))
	}
	return true
}
