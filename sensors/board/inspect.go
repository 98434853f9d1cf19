package board

import (
	"strconv"

	"example.org/dormouse/sensors"
)

// An Inspector is a Board that can be looked at without taking anything from
// it. Both boards are one.
type Inspector interface {
	Board
	// Buses lists the I2C buses by number.
	Buses() ([]sensors.Bus, error)
	// LineInfo tells where a line is and who holds it.
	LineInfo(ref sensors.LineRef) (LineInfo, error)
	// Lines lists all lines of all GPIO chips, each chip once. An error tells
	// of chips that couldn't be looked at; the lines of the others are there.
	Lines() ([]LineInfo, error)
}

// A LineInfo is what the kernel knows of a line.
type LineInfo struct {
	Chip     string // "gpiochip0 (pinctrl-rp1)"
	Offset   int
	Name     string // the kernel's; may be empty
	Held     bool   // it is in use
	Consumer string // the name that its user gave; may be empty
	Output   bool
}

// Holder is the line's user in words: the quoted consumer name, or that there is
// none.
func (i LineInfo) Holder() string {
	if i.Consumer == "" {
		return "an unnamed consumer"
	}
	return strconv.Quote(i.Consumer)
}
