package i2c

import "time"

// mcp9808 is Microchip's MCP9808 (DS25095A, section 5). Temperatures are in
// 1/16 °C.
type mcp9808 struct {
	words
	temperature int
	measured    int
	ready       time.Time
}

const (
	mcp9808Shutdown   = 1 << 8
	mcp9808Resolution = 8 // a register of one byte
	// mcp9808Conversion is that of the full resolution (section 1, typical).
	mcp9808Conversion = 250 * time.Millisecond
)

func newMCP9808() *mcp9808 {
	m := &mcp9808{}
	m.setPowerOn(6, 0x0054)
	m.setPowerOn(7, 0x0400)
	m.setPowerOn(mcp9808Resolution, 0x0303)
	return m
}

func (m *mcp9808) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &m.temperature})
}

func (m *mcp9808) Reset(now time.Time) {
	m.words.Reset(now)
	m.measured, m.ready = 0, now.Add(mcp9808Conversion)
}

func (m *mcp9808) Write(now time.Time, p []byte) bool {
	m.settle(now)
	v, ok := m.address(p)
	switch {
	case m.pointer == mcp9808Resolution && len(p) == 2:
		m.setWord(m.pointer, uint16(p[1])<<8|uint16(p[1]))
	case ok && m.pointer == 1:
		if m.word(1)&mcp9808Shutdown != 0 && v&mcp9808Shutdown == 0 {
			m.ready = now.Add(mcp9808Conversion)
		}
		m.setWord(1, v)
	case ok && m.pointer >= 2 && m.pointer <= 4:
		m.setWord(m.pointer, v)
	}
	return true
}

// settle ends conversions, which go on while the chip isn't shut down.
func (m *mcp9808) settle(now time.Time) {
	if m.word(1)&mcp9808Shutdown != 0 || now.Before(m.ready) {
		return
	}
	m.measured = m.temperature
}

// Read: three bits above the temperature compare it with the limits (section
// 5.1.3.1).
func (m *mcp9808) Read(now time.Time, p []byte) bool {
	m.settle(now)
	limit := func(register uint8) int { return int(int16(m.word(register)<<3)) >> 3 }
	v := uint16(m.measured) & 0x1fff
	for bit, beyond := range map[int]bool{15: m.measured >= limit(4), 14: m.measured > limit(2), 13: m.measured < limit(3)} {
		if beyond {
			v |= 1 << bit
		}
	}
	m.setWord(5, v)
	return m.words.Read(now, p)
}

// bh1750 is Rohm's BH1750FVI (data sheet, revision D), which measures light.
type bh1750 struct {
	light  int // counts at 1 lx resolution and the usual measuring time
	result uint16
	next   uint16
	ready  time.Time
	on     bool
	bits   [2]byte // the measuring time's, for Memory
}

// bh1750Modes are the longest times of a measurement (page 2), by the low bits
// of the command.
var bh1750Modes = map[byte]time.Duration{0: 180 * time.Millisecond, 1: 180 * time.Millisecond, 3: 24 * time.Millisecond}

func (b *bh1750) Set(values map[string]int) error {
	return assign(values, map[string]*int{"light": &b.light})
}

func (b *bh1750) Reset(time.Time) { *b = bh1750{light: b.light, bits: [2]byte{0, 69}} }

func (b *bh1750) Memory() []byte { return b.bits[:] }

// Write takes the instructions of page 5. A measurement of one time powers down
// at its end.
func (b *bh1750) Write(now time.Time, p []byte) bool {
	b.settle(now)
	for _, command := range p {
		d, mode := bh1750Modes[command&3]
		switch {
		case command == 0x00:
			b.on, b.ready = false, time.Time{}
		case command == 0x01:
			b.on = true
		case command == 0x07 && b.on:
			b.result = 0
		case command&0xf8 == 0x40:
			b.bits[1] = b.bits[1]&0x1f | command<<5
		case command&0xe0 == 0x60:
			b.bits[1] = b.bits[1]&0xe0 | command&0x1f
		case mode && (command&0xfc == 0x10 || command&0xfc == 0x20):
			// The measuring time scales both (page 11).
			counts := b.light * int(b.bits[1]) / 69
			if command&3 == 1 {
				counts *= 2
			}
			b.next = uint16(min(counts, 0xffff))
			b.ready = now.Add(d * time.Duration(b.bits[1]) / 69)
		}
	}
	return true
}

func (b *bh1750) settle(now time.Time) {
	if !b.ready.IsZero() && !now.Before(b.ready) {
		b.result, b.ready = b.next, time.Time{}
	}
}

func (b *bh1750) Read(now time.Time, p []byte) bool {
	b.settle(now)
	for i := range p {
		p[i] = byte(b.result >> (8 * (1 - i%2)))
	}
	return true
}
