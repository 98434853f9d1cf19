package spi

import "fmt"

// mcp320x is Microchip's MCP3004, 3008 (10 bits, DS21295D), 3204 or 3208 (12
// bits, DS21298E): figures 5-1 and 5-2 of both data sheets.
type mcp320x struct {
	bits   int
	inputs []int // what the converter makes of each, 0 to 1<<bits - 1

	clocks  int // since the start bit; -1: it hasn't come
	control int // SGL/DIFF and D2 to D0
	code    int
}

// Models are the chips that New makes, by the kernel's names for them.
var models = map[string]struct{ bits, channels int }{
	"mcp3004": {10, 4}, "mcp3008": {10, 8}, "mcp3204": {12, 4}, "mcp3208": {12, 8},
}

// New makes a chip by the kernel's name for it. Its inputs are ch0, ch1 and so
// on, as the codes that the converter makes of them.
func New(model string) (Chip, error) {
	m, ok := models[model]
	if !ok {
		return nil, fmt.Errorf("no SPI chip model is called %q", model)
	}
	return &mcp320x{bits: m.bits, inputs: make([]int, m.channels), clocks: -1}, nil
}

func (m *mcp320x) Set(values map[string]int) error {
	for name, code := range values {
		var n int
		if _, err := fmt.Sscanf(name, "ch%d", &n); err != nil || n < 0 || n >= len(m.inputs) {
			return fmt.Errorf("the chip has no input %q", name)
		}
		if code < 0 || code >= 1<<m.bits {
			return fmt.Errorf("a converter of %d bits makes no %d", m.bits, code)
		}
		m.inputs[n] = code
	}
	return nil
}

func (m *mcp320x) Select(bool) { m.clocks = -1 }

func (m *mcp320x) Exchange(out byte) (in byte) {
	for bit := 7; bit >= 0; bit-- {
		in = in<<1 | m.clock(out>>bit&1)
	}
	return in
}

// clock is one clock: the first 1 is the start bit, four bits of control and
// one clock of sampling follow, then a 0 and the code, most significant bit
// first, and after its last bit the others again backwards, and zeros. Until
// the 0 nobody drives the wire.
func (m *mcp320x) clock(in byte) byte {
	if m.clocks < 0 {
		if in == 1 {
			m.clocks, m.control = 0, 0
		}
		return 1
	}
	m.clocks++
	const sampled = 5
	switch at := m.clocks - sampled - 1; {
	case m.clocks <= 4:
		m.control = m.control<<1 | int(in)
		return 1
	case m.clocks == sampled:
		m.code = m.convert()
		return 1
	case at == 0:
		return 0 // the null bit
	case at <= m.bits:
		return byte(m.code >> (m.bits - at) & 1)
	case at <= 2*m.bits-1:
		return byte(m.code >> (at - m.bits) & 1)
	}
	return 0
}

// convert follows table 5-1 or 5-2: single-ended, or the pair of the channel and
// its neighbour, of which a negative difference is 0. Chips of four channels
// don't care for D2.
func (m *mcp320x) convert() int {
	channel := m.control & 7 % len(m.inputs)
	if m.control&8 != 0 {
		return m.inputs[channel]
	}
	return max(0, m.inputs[channel]-m.inputs[channel^1])
}
