package sim

import (
	"fmt"
	"io"
	"math"
	"os"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim/chips"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"
)

// SPIConverter is where the board has its MCP3008.
var SPIConverter = sensors.SPIDevice{Bus: 0, Select: 0}

// An spiChip is a model at the level of messages: of as many bytes as it is
// sent, it returns one for each.
type spiChip interface {
	exchange(now sensors.Instant, w []byte) (r []byte)
}

// spiSlot is a chip select and what is wired there.
type spiSlot struct {
	chip    spiChip
	removed bool
	miso    *byte // what MISO reads while it is stuck
}

// spiModels makes each kind of SPI chip by its name.
var spiModels = map[string]func(w chips.World) spiChip{
	"mcp3008": func(w chips.World) spiChip { return &mcp300x{bits: 10, reference: 3.3, volts: voltageAt(w, "ch")} },
	"mcp3208": func(w chips.World) spiChip { return &mcp300x{bits: 12, reference: 3.3, volts: voltageAt(w, "ch")} },
}

func voltageAt(w chips.World, prefix string) func(sensors.Instant, int) float64 {
	return func(at sensors.Instant, n int) float64 { return w(at, fmt.Sprintf("voltage %s%d", prefix, n)) }
}

// NewSPIDevice makes a chip that stands alone, as a function of one message's
// bytes: what a driver is tested against.
func NewSPIDevice(model string, now func() sensors.Instant, w chips.World) func(w, r []byte) error {
	build, ok := spiModels[model]
	if !ok {
		panic(fmt.Sprintf("sim: no SPI chip %s is modelled", model))
	}
	chip := build(w)
	return func(w, r []byte) error {
		copy(r, chip.exchange(now(), w))
		return nil
	}
}

// RemoveSPI pulls a chip out, or puts it back: MISO then reads 1, as by a
// pull-up.
func (b *Board) RemoveSPI(d sensors.SPIDevice, removed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spiSlots[d].removed = removed
}

// StickMISO holds a chip's MISO at a level; nil releases it.
func (b *Board) StickMISO(d sensors.SPIDevice, level *byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spiSlots[d].miso = level
}

func listSPI(b *Board) []board.Device {
	b.mu.Lock()
	defer b.mu.Unlock()
	var devices []board.Device
	for d := range b.spiSlots {
		devices = append(devices, board.Device{Claim: sensors.Claim{Kind: sensors.SPIWire, Bus: d.Bus, Select: d.Select}, Node: d.Node()})
	}
	return devices
}

func openSPI(b *Board, c sensors.Claim, config any) (io.Closer, error) {
	d, how := c.SPI(), config.(sensors.SPIConfig)
	if err := board.CheckSPI(d, &how); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spiSlots[d] == nil {
		return nil, board.SPIOpenError(d, []string{SPIConverter.Node()}, unix.ENOENT)
	}
	return &spiConn{board: b, device: d, config: how}, nil
}

// spiConn is a chip select that somebody has opened.
type spiConn struct {
	board  *Board
	device sensors.SPIDevice
	config sensors.SPIConfig
	closed bool // guarded by board.mu
}

func (s *spiConn) String() string       { return s.device.String() }
func (s *spiConn) Duplex() conn.Duplex  { return board.SPIDuplex(s.config.Mode) }
func (s *spiConn) Tx(w, r []byte) error { return s.TxPackets([]spi.Packet{{W: w, R: r}}) }

func (s *spiConn) TxPackets(packets []spi.Packet) error {
	if err := board.CheckPackets(s.device, packets); err != nil {
		return err
	}
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%s: %w", s.device, os.ErrClosed)
	}
	var w []byte
	for _, p := range packets {
		w = append(w, p.W...)
		w = append(w, make([]byte, max(0, len(p.R)-len(p.W)))...)
	}
	r := s.board.exchange(s.device, w)
	for _, p := range packets {
		copy(p.R, r)
		r = r[max(len(p.W), len(p.R)):]
	}
	return nil
}

func (b *Board) exchange(d sensors.SPIDevice, w []byte) []byte {
	slot := b.spiSlots[d]
	r := make([]byte, len(w))
	switch {
	case slot.miso != nil:
		fill(r, *slot.miso)
	case slot.removed:
		fill(r, 0xff)
	default:
		r = slot.chip.exchange(b.clock.Now(), w)
	}
	return r
}

func (s *spiConn) Close() error {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%s: %w", s.device, os.ErrClosed)
	}
	s.closed = true
	return nil
}

// mcp300x is an MCP3008 or MCP3208: figures 5-1 and 5-2 of their data sheets,
// Microchip DS21295D and DS21298E.
type mcp300x struct {
	bits      int
	reference float64
	volts     func(at sensors.Instant, input int) float64
}

// exchange finds the start bit, and answers from the second clock after the
// four bits of control on: a zero, the code, and the code backwards.
func (m *mcp300x) exchange(now sensors.Instant, w []byte) []byte {
	sent := make([]bool, 0, 8*len(w))
	for _, b := range w {
		for bit := 7; bit >= 0; bit-- {
			sent = append(sent, b>>bit&1 == 1)
		}
	}
	start := 0
	for start < len(sent) && !sent[start] {
		start++
	}
	answer := make([]byte, len(w))
	for i := range sent {
		if m.bit(now, sent, i-start) {
			answer[i/8] |= 0x80 >> (i % 8)
		}
	}
	return answer
}

// bit is DOUT at the clock number n after the start bit. A pull-up holds the
// wire while nobody drives it.
func (m *mcp300x) bit(now sensors.Instant, sent []bool, n int) bool {
	const null = 6
	if n < null {
		return true
	}
	start := 0
	for !sent[start] {
		start++
	}
	control := 0
	for _, set := range sent[start+1 : start+5] {
		control <<= 1
		if set {
			control |= 1
		}
	}
	code := m.code(now, control)
	switch at := n - null; {
	case at == 0:
		return false
	case at <= m.bits:
		return code>>(m.bits-at)&1 == 1
	case at < 2*m.bits:
		return code>>(at-m.bits)&1 == 1
	}
	return false
}

// code converts one input, or its difference from its neighbour.
func (m *mcp300x) code(now sensors.Instant, control int) int {
	input := control & 7
	v := m.volts(now, input)
	if control&8 == 0 {
		v -= m.volts(now, input^1)
	}
	full := 1 << m.bits
	return min(full-1, max(0, int(math.Floor(v/m.reference*float64(full)+0.5))))
}
