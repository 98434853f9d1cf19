package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/guard"
	"example.org/dormouse/sensors/board/sim/chips"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// Board is a board of modelled chips. It is a [board.Inspector].
type Board struct {
	clock board.Clock
	seed  uint64
	start sensors.Instant

	mu     sync.Mutex
	values func(at sensors.Instant) Values
	slots  map[uint16]*slot
	stuck  *byte // what every address reads while the bus is stuck
	pins   [headerLines]pin
	files  *fileTree
	guards guard.Buses

	spiSlots    map[sensors.SPIDevice]*spiSlot
	serialSlots map[string]*serialSlot

	throttledBits uint32
	locked        map[string]bool // by what is locked
}

// The chips' addresses on the bus, which is bus 1.
const (
	BusNumber = sensors.Bus(1)
	BME280    = 0x76
	SHT4x     = 0x44
	TMP102    = 0x48
	ADS1115   = 0x4a
)

// New makes a board whose time is the clock's. Seed decides what the world
// around it does.
func New(clock board.Clock, seed uint64) *Board {
	b := &Board{clock: clock, seed: seed, start: clock.Now(), values: world{seed}.at}
	b.slots = map[uint16]*slot{}
	b.Attach(BME280, "bme280", b.world(func(v Values) (t, h, p float64) { return v.GreenhouseTemperature, v.GreenhouseHumidity, v.Pressure }))
	b.Attach(SHT4x, "sht4x", b.world(func(v Values) (t, h, p float64) { return v.OfficeTemperature, v.OfficeHumidity, 0 }))
	b.Attach(TMP102, "tmp102", b.world(func(v Values) (t, h, p float64) { return v.CellarTemperature, 0, 0 }))
	b.Attach(ADS1115, "ads1115", b.measured)
	// They were switched on before the program began: none is still starting.
	for _, s := range b.slots {
		s.chip.Reset(b.start.Add(-time.Minute))
	}
	b.locked = map[string]bool{}
	b.spiSlots = map[sensors.SPIDevice]*spiSlot{SPIConverter: {chip: spiModels["mcp3008"](b.measured)}}
	b.serialSlots = map[string]*serialSlot{}
	b.attachSerial(ParticlePort, "pms5003", b.measured)
	b.files = newFileTree(b)
	b.giveFunctions()
	b.wireTimed()
	return b
}

// world is the World of a chip that measures temperature (°C), humidity
// (percent) and pressure (Pa), or some of them.
func (b *Board) world(of func(Values) (t, h, p float64)) chips.World {
	return func(at sensors.Instant, what string) float64 {
		t, h, p := of(b.values(at))
		return map[string]float64{"temperature": t, "humidity": h / 100, "pressure": p}[what]
	}
}

// measured is the World of the converters and of the chips on other wires than
// the bus.
func (b *Board) measured(at sensors.Instant, what string) float64 {
	v := b.values(at)
	switch kind, which, _ := strings.Cut(what, " "); {
	case kind == "particulate_matter":
		return v.Particles[slices.Index([]string{"1", "2.5", "10"}, which)]
	case strings.HasPrefix(which, "a"):
		return v.Inputs[slices.Index([]string{"a0", "a1", "a2", "a3"}, which)]
	case which == "ch0":
		return v.VaneVoltage
	case which == "ch1":
		return v.TankVoltage
	}
	return 0
}

// Model says that this is no real board.
func (b *Board) Model() string { return "simulated board" }

// Files are those of the kernel that the board's sensors have.
func (b *Board) Files() sensors.Files { return b.files }

// Values is what the world around the board is like at a moment.
func (b *Board) Values(at sensors.Instant) Values {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.values(at)
}

// SetValues makes another world: exact values for tests.
func (b *Board) SetValues(f func(at sensors.Instant) Values) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.values = f
}

// slot is an address of the bus and what is wired there.
type slot struct {
	chip    chips.Chip
	removed bool
	loose   *loose
	supply  *supply
	fault   Fault
}

// loose is a contact that is open at the end of each period.
type loose struct{ period, open time.Duration }

// supply is an output that must drive a level for the chip to be powered.
type supply struct {
	bcm   int
	level bool
}

// A Fault is what is wrong with a chip; the zero value is nothing.
type Fault struct {
	Errno   unix.Errno // each transaction ends in this error
	Stuck   bool       // the chip answers, and every byte it sends is Level
	Level   byte
	Corrupt bool // the last bit of each answer is flipped
}

// SetFault breaks the chip at addr, or mends it.
func (b *Board) SetFault(addr uint16, f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot(addr).fault = f
}

// Remove pulls the chip at addr out.
func (b *Board) Remove(addr uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot(addr).removed = true
}

// Insert puts it back; it has lost its state.
func (b *Board) Insert(addr uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slot(addr)
	s.removed = false
	s.chip.Reset(b.clock.Now())
}

// Loosen makes the contact of the chip at addr a loose one: at the end of each
// period, counted from the board's start, it is open for so long.
func (b *Board) Loosen(addr uint16, period, open time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot(addr).loose = &loose{period, open}
}

// connected tells whether the contact of a chip is closed now.
func (b *Board) connected(s *slot) bool {
	if s.removed {
		return false
	}
	return s.loose == nil || b.clock.Now().Sub(b.start)%s.loose.period < s.loose.period-s.loose.open
}

// Stick makes the whole bus stuck: every address answers and reads level.
func (b *Board) Stick(level byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck = &level
}

// Unstick ends that.
func (b *Board) Unstick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck = nil
}

// Power lets the output bcm supply the chip at addr: it answers only while
// somebody holds the line and drives it high, or low if activeLow, and it
// starts anew each time.
func (b *Board) Power(addr uint16, bcm int, activeLow bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot(addr).supply = &supply{bcm, !activeLow}
}

// Attach puts a chip that measures w at an address of the board's bus.
func (b *Board) Attach(addr uint16, model string, w chips.World) {
	b.Connect(addr, chips.New(model, w))
}

// Connect puts a chip at an address of the board's bus, in the place of another
// that may be there, and switches it on.
func (b *Board) Connect(addr uint16, c chips.Chip) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Reset(b.clock.Now())
	b.slots[addr] = &slot{chip: c}
}

// slot is a mistake in the test where no chip has the address.
func (b *Board) slot(addr uint16) *slot {
	s, ok := b.slots[addr]
	if !ok {
		panic(fmt.Sprintf("sim: no chip is modelled at 0x%02x", addr))
	}
	return s
}

// driven tells what is wired to the line bcm that an output drives it, or that
// it is one no more.
func (b *Board) driven(bcm int, now sensors.Instant) {
	b.powerChanged(bcm, now)
	w, l := b.pins[bcm].wire, b.pins[bcm].line
	switch {
	case w == nil || l == nil:
	case l.config.Output && w.pulled != nil:
		w.pulled(now, l.level)
	case !l.config.Output && w.released != nil:
		w.released(now)
	}
}

// powerChanged starts the chips anew that the output bcm supplies from now on.
func (b *Board) powerChanged(bcm int, now sensors.Instant) {
	for _, s := range b.slots {
		if s.supply != nil && s.supply.bcm == bcm && b.supplied(s) {
			s.chip.Reset(now)
		}
	}
}

func (b *Board) supplied(s *slot) bool {
	if s.supply == nil {
		return true
	}
	l := b.pins[s.supply.bcm].line
	return l != nil && l.config.Output && l.level == s.supply.level
}

// Buses lists the one bus.
func (b *Board) Buses() ([]sensors.Bus, error) { return []sensors.Bus{BusNumber}, nil }

// OpenBus opens bus 1.
func (b *Board) OpenBus(number sensors.Bus) (i2c.BusCloser, error) {
	if number != BusNumber {
		return nil, board.BusOpenError(number, []sensors.Bus{BusNumber}, unix.ENOENT)
	}
	return b.guards.Guard(number, &bus{board: b}), nil
}

type bus struct {
	board  *Board
	closed bool // guarded by board.mu
}

func (b *bus) String() string { return BusNumber.String() }

func (b *bus) SetSpeed(physic.Frequency) error {
	return fmt.Errorf("%s: a simulated bus has no speed", BusNumber)
}

func (b *bus) Close() error {
	b.board.mu.Lock()
	defer b.board.mu.Unlock()
	if b.closed {
		return fmt.Errorf("%s: closed twice: %w", BusNumber, unix.EBADF)
	}
	b.closed = true
	return nil
}

func (b *bus) Tx(addr uint16, w, r []byte) error {
	b.board.mu.Lock()
	defer b.board.mu.Unlock()
	if b.closed {
		return fmt.Errorf("%s is closed: %w", BusNumber, unix.EBADF)
	}
	if len(w) == 0 && len(r) == 0 {
		return fmt.Errorf("%s: a transaction with %s that neither writes nor reads", BusNumber, sensors.Address(addr))
	}
	return board.BusError(BusNumber, addr, b.board.transact(addr, w, r))
}

func (b *Board) transact(addr uint16, w, r []byte) error {
	if !b.hasBus() {
		return unix.ETIMEDOUT
	}
	if b.stuck != nil {
		fill(r, *b.stuck)
		return nil
	}
	s, err := b.present(addr)
	if err != nil {
		return err
	}
	if s.fault.Stuck {
		fill(r, s.fault.Level)
		return nil
	}
	now := b.clock.Now()
	if len(w) > 0 {
		if err := s.chip.Write(now, w); err != nil {
			return err
		}
	}
	if len(r) == 0 {
		return nil
	}
	if err := s.chip.Read(now, r); err != nil {
		return err
	}
	if s.fault.Corrupt {
		r[len(r)-1] ^= 1
	}
	return nil
}

// present finds the chip that there is at an address.
func (b *Board) present(addr uint16) (*slot, error) {
	s, ok := b.slots[addr]
	switch {
	case !ok || !b.connected(s) || !b.supplied(s):
		return nil, chips.Nack
	case s.fault.Errno != 0:
		return nil, s.fault.Errno
	}
	return s, nil
}

func fill(r []byte, level byte) {
	for i := range r {
		r[i] = level
	}
}
