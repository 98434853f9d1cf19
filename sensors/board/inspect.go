package board

import (
	"strconv"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/pinmux"
)

// An Inspector is a Board that can be looked at without taking anything from
// it. Both boards are one.
type Inspector interface {
	Board
	// Buses lists the I2C buses by number.
	Buses() ([]sensors.Bus, error)
	// Devices lists what there is of a kind that Open opens, without opening it.
	Devices(kind sensors.WireKind) ([]Device, error)
	// Identify is what the board calls a wire, equal for two names of one; ok is
	// false where it can't tell.
	Identify(c sensors.Claim) (id string, ok bool)
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
	// Function is what a peripheral has the line for at present.
	Function pinmux.Function
}

// Holder is the line's user in words: the quoted consumer name, or that there is
// none.
func (i LineInfo) Holder() string {
	if i.Consumer == "" {
		return "an unnamed consumer"
	}
	return strconv.Quote(i.Consumer)
}

// A Device is a wire that the board has, under the name that is to be
// configured.
type Device struct {
	Claim sensors.Claim
	Node  string // its file: "/dev/ttyUSB0"
	Note  string // what it is, or who has it: "ftdi_sio", "the kernel's mcp320x drives it"
	Taken bool   // it can't be opened for that reason
}
