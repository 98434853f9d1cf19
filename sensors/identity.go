package sensors

import "context"

// An Identification is how a chip is recognised: by an ID register, or by a
// checksummed answer that only this family gives. A driver whose chip offers
// neither has none, and is never asked whether an unknown chip is its own.
type Identification struct {
	// By says it in words, for the documents: "ID register 0xD0 reads 0x58 or
	// 0x60", "serial number with its checksums".
	By string
	// Command tells that Probe writes a command and not only a register's number.
	// Such probes are tried after the others at the same address.
	Command bool
	// Long tells that the command has two bytes: a chip with registers would take
	// them for a register's number and its new content. Such probes are tried last.
	// They read a byte first, and write nothing to a chip that acknowledges it: one
	// that is driven by commands doesn't while it has no result.
	Long bool
	// Probe asks the chip at the sensor's address and changes nothing in it.
	// An error means that it isn't of this family, or that it doesn't answer;
	// it says what the chip looks like, where that is known.
	Probe func(ctx context.Context, e Env) (Found, error)
}

// A Witness is a bus that can prove that it isn't stuck.
type Witness interface {
	// Witness looks for a chip at another address that answers, at this moment,
	// what a stuck bus can't: more than zeros or ones.
	Witness(than uint16) (addr uint16, ok bool)
}

// A Variant is a Sensor whose chip may be a model that measures less than its
// driver lists.
type Variant interface {
	Sensor
	// Lacks is the chip's model, as New has recognised it, with what it doesn't
	// measure. It is asked for after New.
	Lacks() (model string, quantities []*Quantity)
}

// Found is what a Probe has recognised.
type Found struct {
	Family string // the driver's name
	Model  string // "BMP280", as on the part; empty: several models say the same
	Serial string // empty: it has none, or it isn't read
}

// String is the model, or that it is one of the family, with the serial number
// where there is one.
func (f Found) String() string {
	name := f.Model
	if name == "" {
		name = "a chip of the family " + f.Family
	}
	if f.Serial != "" {
		return name + ", serial number " + f.Serial
	}
	return name
}
