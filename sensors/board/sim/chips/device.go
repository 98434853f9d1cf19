package chips

import (
	"time"

	"example.org/dormouse/sensors"
	"periph.io/x/conn/v3/physic"
)

// A Device is one modelled chip that stands alone on its bus and answers at
// any address: what a driver is tested against.
type Device struct {
	chip Chip
	now  func() sensors.Instant
}

// NewDevice makes a chip that has just got its supply. A model that doesn't
// exist is a mistake in the test.
func NewDevice(model string, now func() sensors.Instant, w World) *Device {
	d := &Device{chip: New(model, w), now: now}
	// Its supply rose a while ago: a start-up time counts after Reset only.
	d.chip.Reset(now().Add(-time.Minute))
	return d
}

// Reset cuts the chip's supply for a moment.
func (d *Device) Reset() { d.chip.Reset(d.now()) }

func (d *Device) String() string                  { return "simulated chip" }
func (d *Device) SetSpeed(physic.Frequency) error { return nil }

// Tx is one transaction.
func (d *Device) Tx(_ uint16, w, r []byte) error {
	if len(w) > 0 {
		if err := d.chip.Write(d.now(), w); err != nil {
			return err
		}
	}
	if len(r) > 0 {
		return d.chip.Read(d.now(), r)
	}
	return nil
}
