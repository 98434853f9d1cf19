// Package chips models I2C chips at the level of their messages: registers,
// commands, checksums, and the times that a measurement takes. They answer on
// the simulated board, and drivers are tested against them.
//
// Each model has a file of its own, is written from the chip's data sheet, and
// shares no code with the driver. Nothing runs by itself: a message brings a
// model up to the moment at which it is sent. Analogue faults are not modelled.
package chips

import (
	"fmt"
	"time"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// A World is what a chip measures: the value at a moment of the driver's
// quantity, followed by a space and the channel where there are several
// ("temperature", "voltage a0"), in the quantity's base unit.
type World func(at sensors.Instant, what string) float64

// A Chip is one modelled chip. Its methods return [Nack] where the chip doesn't
// acknowledge; moments never go back.
type Chip interface {
	Reset(now sensors.Instant) // power-on
	Write(now sensors.Instant, w []byte) error
	Read(now sensors.Instant, r []byte) error
}

// Nack is the errno of the Pi's I2C controllers for an address or byte that no
// chip acknowledges.
const Nack = unix.EREMOTEIO

// models makes each kind of chip by its name; each model's file adds its own.
var models = map[string]func(w World) Chip{}

// Add adds a model that isn't one of this package's: that of a test.
func Add(model string, build func(w World) Chip) {
	if _, ok := models[model]; ok {
		panic(fmt.Sprintf("chips: there are two models of %s", model))
	}
	models[model] = build
}

// New makes a chip, which needs a Reset before it is used. A model that doesn't
// exist is a mistake in the calling program: New panics.
func New(model string, w World) Chip {
	build, ok := models[model]
	if !ok {
		panic(fmt.Sprintf("chips: no model of %s", model))
	}
	return build(w)
}

func fill(r []byte, level byte) {
	for i := range r {
		r[i] = level
	}
}

// micros is a time of a data sheet.
func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }
