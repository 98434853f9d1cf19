package board

import (
	"example.org/dormouse/sensors"
	"periph.io/x/conn/v3/i2c"
)

// nobody is an address that no chip can have: UM10204 (I2C-bus specification,
// rev. 7), table 4, reserves 0x03 "for future purposes". The other reserved
// addresses are answered by real chips: 0x00 is the general call, 0x01 and
// 0x02 the START byte and CBUS, 0x04 to 0x07 high-speed mode, 0x78 to 0x7b
// 10-bit chips, 0x7c to 0x7f the device ID.
const nobody = 0x03

// Guard is the bus b that doesn't let a stuck wire pass for a value. Where SDA
// is held low each address seems to answer and each byte reads 0x00; a
// controller or model may show 0xff instead. A chip may truly say either, so
// after an answer of at least two bytes that are all 0x00 or all 0xff, Guard
// reads from an address where nobody lives: if that answers too, Tx gives an
// error of the class identity.
func Guard(b i2c.BusCloser) i2c.BusCloser { return &guarded{BusCloser: b} }

type guarded struct{ i2c.BusCloser }

func (g *guarded) Tx(addr uint16, w, r []byte) error {
	if err := g.BusCloser.Tx(addr, w, r); err != nil {
		return err
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
	return sensors.Errorf(sensors.Identity, "%s is stuck: every address answers and %s reads only 0x%02x: SDA or SCL has no pull-up, is shorted, or is held by a chip; cut the chips' supply to free it",
		g.BusCloser, sensors.Address(addr), r[0])
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
