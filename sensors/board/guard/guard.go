// Package guard tells a stuck I2C bus from a chip that reads all zeros or all
// ones.
package guard

import (
	"slices"
	"sync"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
)

// nobody is an address that no chip can have: UM10204 (I2C-bus specification,
// rev. 7), table 4, reserves 0x03 "for future purposes". The other reserved
// addresses are answered by real chips: 0x00 is the general call, 0x01 and
// 0x02 the START byte and CBUS, 0x04 to 0x07 high-speed mode, 0x78 to 0x7b
// 10-bit chips, 0x7c to 0x7f the device ID.
const nobody = 0x03

// Buses remembers of each bus which chips have answered with more than zeros or
// ones. The zero value remembers none.
type Buses struct {
	mu        sync.Mutex
	witnesses map[sensors.Bus][]witness // at most two, the latest first
}

// A witness is the read of a register that gave what a stuck bus can't give.
type witness struct {
	addr uint16
	reg  byte
	n    int
}

// Guard is the bus b that doesn't let a stuck wire pass for a value. Where SDA
// is held low each address seems to answer and each byte reads 0x00; a
// controller or model may show 0xff instead. A chip may truly say either, so
// after an answer of at least two bytes that are all 0x00 or all 0xff, the bus
// reads from an address where nobody lives. If that answers too, and no other
// chip gives what it gave before, Tx gives an error of the class identity. It is
// a sensors.Witness.
func (s *Buses) Guard(number sensors.Bus, b i2c.BusCloser) i2c.BusCloser {
	return &guarded{BusCloser: b, number: number, buses: s}
}

type guarded struct {
	i2c.BusCloser
	number sensors.Bus
	buses  *Buses
}

func (g *guarded) Tx(addr uint16, w, r []byte) error {
	if err := g.BusCloser.Tx(addr, w, r); err != nil {
		return err
	}
	if len(r) > 0 && len(w) == 1 && !allEqual(r) {
		g.buses.remember(g.number, witness{addr, w[0], len(r)})
	}
	if len(r) < 2 || !allEqual(r) {
		return nil
	}
	switch err := g.BusCloser.Tx(nobody, nil, make([]byte, 1)); {
	case err != nil && sensors.ReasonOf(err) == sensors.Timeout:
		return err // it hangs by now
	case err != nil:
		return nil // nobody answered, or the adapter refuses the address
	}
	if _, ok := g.Witness(addr); ok {
		return nil // whatever answers at 0x03
	}
	return sensors.Errorf(sensors.Identity, "%s is stuck: every address answers and %s reads only 0x%02x: SDA or SCL has no pull-up, is shorted, or is held by a chip; cut the chips' supply to free it",
		g.BusCloser, sensors.Address(addr), r[0])
}

// Witness reads a register again that gave more than zeros or ones, of another
// chip than that at an address.
func (g *guarded) Witness(than uint16) (addr uint16, ok bool) {
	for _, w := range g.buses.others(g.number, than) {
		r := make([]byte, w.n)
		if g.BusCloser.Tx(w.addr, []byte{w.reg}, r) == nil && !allEqual(r) {
			return w.addr, true
		}
	}
	return 0, false
}

// Quick sends a chip its address for writing and no byte: SMBus calls it a quick
// write. The error is EOPNOTSUPP where the adapter can't.
func (g *guarded) Quick(addr uint16) error {
	if quick, ok := g.BusCloser.(interface{ Quick(addr uint16) error }); ok {
		return quick.Quick(addr)
	}
	return unix.EOPNOTSUPP
}

// remember keeps the latest read of each of two chips: one of them is another
// than any.
func (s *Buses) remember(number sensors.Bus, w witness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.witnesses[number]
	if len(known) > 0 && known[0] == w {
		return
	}
	known = slices.DeleteFunc(known, func(o witness) bool { return o.addr == w.addr })
	if len(known) > 1 {
		known = known[:1]
	}
	if s.witnesses == nil {
		s.witnesses = map[sensors.Bus][]witness{}
	}
	s.witnesses[number] = slices.Insert(known, 0, w)
}

func (s *Buses) others(number sensors.Bus, than uint16) []witness {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.witnesses[number]), func(w witness) bool { return w.addr == than })
}

func allEqual(r []byte) bool {
	if r[0] != 0x00 && r[0] != 0xff {
		return false
	}
	for _, b := range r {
		if b != r[0] {
			return false
		}
	}
	return true
}
