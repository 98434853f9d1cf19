package sim

import (
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/pinmux"
)

// giveFunctions gives the peripherals that the board has their pins.
func (b *Board) giveFunctions() {
	for device, pins := range map[string][]sensors.Signal{
		"i2c@7e804000": BusNumber.Pins(), "spi@7e204000": SPIConverter.Pins(), "serial@7e201000": sensors.HeaderUART,
	} {
		for _, s := range pins {
			b.pins[s.BCM].function = pinmux.Usual(s.BCM, device)
		}
	}
}

// SetFunction gives the line bcm to a peripheral; the zero function makes a
// plain line of it, as taking it by force does. Without SDA or SCL bus 1 hangs;
// the SPI chip and the serial port don't miss their pins.
func (b *Board) SetFunction(bcm int, f pinmux.Function) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pins[bcm].function = f
}

// hasBus tells whether SDA and SCL are bus 1's.
func (b *Board) hasBus() bool {
	for _, s := range BusNumber.Pins() {
		if b.pins[s.BCM].function.IsZero() {
			return false
		}
	}
	return true
}
