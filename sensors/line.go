package sensors

import (
	"context"
	"time"
)

// The options that name a GPIO line.
const (
	LineOption   OptionType = "line"        // an input: GPIO17, BOARD11, CHIP:OFFSET or a line's name
	OutputOption OptionType = "driven line" // the same, driven
)

var lineWire = &wire{
	kind: LineWire, reasons: []Reason{NoAnswer, Busy}, use: Exclusive, noun: "a line",
	options: map[OptionType]func(Option, string) (any, error){LineOption: parseLineOption, OutputOption: parseLineOption},
	claims: func(d *Driver, o *Options) []Claim {
		var claims []Claim
		for _, opt := range d.Options {
			l, ok := o.values[opt.Name].(LineRef)
			if ok {
				claims = append(claims, Claim{Kind: LineWire, Option: opt.Name, Line: l, Output: opt.Type == OutputOption, Force: o.Forced()})
			}
		}
		return claims
	},
	key:   func(c Claim) string { return c.Line.Key() },
	words: func(c Claim) string { return c.Line.String() },
}

// forceOption is an option of every driver that has lines.
var forceOption = Option{Name: "force", Type: BoolOption, Default: "no",
	Help: "take the lines even from a peripheral (I2C, SPI, a serial port), which gets them back at the next boot only"}

// Forced tells whether the sensor's lines are taken from a peripheral that has
// them; false where it has no lines.
func (o *Options) Forced() bool {
	force, _ := o.values[forceOption.Name].(bool)
	return force
}

func parseLineOption(_ Option, text string) (any, error) { return ParseLine(text) }

// Bias is the pull resistor of a line.
type Bias uint8

const (
	BiasAsIs Bias = iota // as the firmware or device tree left it
	PullUp
	PullDown
	BiasOff
)

// EdgeKind says which edges the kernel records.
type EdgeKind uint8

const (
	NoEdge EdgeKind = iota
	RisingEdge
	FallingEdge
	BothEdges
)

// LineConfig is how a GPIO line is asked for. Values and edges are logical:
// on an active-low line, active is the low level and "rising" means becoming
// active, as in the kernel's GPIO character-device uAPI, version 2.
type LineConfig struct {
	Output    bool
	Active    bool // of an output: its value from the first moment on
	ActiveLow bool
	Bias      Bias
	Edges     EdgeKind
	Debounce  time.Duration // by the kernel; 0: none
	Buffer    int           // events the kernel keeps for the reader; 0: its default, 16
	Force     bool          // take it from the peripheral that has it
}

// An Edge is one event as the kernel recorded it.
type Edge struct {
	At     Instant // from the kernel's time stamp, not from when it was read
	Active bool    // the line became active (rising)
	// Seq numbers this line's events from 1. The kernel numbers every event
	// but keeps the latest only, so a gap tells what was lost.
	Seq uint32
}

// Line is a GPIO line in use. Its owner is whoever requested it, until Close.
type Line interface {
	Active() (bool, error)
	SetActive(active bool) error
	// Edges appends the recorded edges to buf, without waiting.
	Edges(buf []Edge) ([]Edge, error)
	// WaitEdge waits until an edge is there to be read. It is the one method
	// that wakes the process, so it is called only where it must react.
	WaitEdge(ctx context.Context) error
	// Reconfigure changes the line without releasing it: from an output to
	// an input that records edges, within microseconds. Its buffer keeps the
	// size that it was asked for with.
	Reconfigure(c LineConfig) error
	Close() error
}

// A Rail is a supply that a line switches.
type Rail struct {
	Name      string
	Line      LineRef
	ActiveLow bool
	Settle    time.Duration // from switching on to stable
	Force     bool          // its line is taken even from a peripheral
	// MaxOn is how long it may be on at a stretch; then it is switched off,
	// even while it is used. Zero: no limit.
	MaxOn time.Duration
	// After names the rails that must be up and settled before it is switched
	// on; they go down after it.
	After []string
	// Configured is where the configuration defines it, for messages.
	Configured string
}
