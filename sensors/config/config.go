package config

import (
	"fmt"
	"slices"
	"time"

	"example.org/dormouse/sensors"
)

// A Config is the flags and the file in one structure: every value
// validated, every default filled in.
type Config struct {
	Sensors []*Sensor // the file's first, each in the order written
	Rails   []*Rail   // the defined ones, then the implicit ones
	// WaitForTasks tells that tasks which are being run when the daemon is to end
	// are waited for, and not ended.
	WaitForTasks bool
	// Warnings are about what is allowed but probably a mistake.
	Warnings Problems
}

// Supplies are the rails as the board takes them.
func (c *Config) Supplies() []*sensors.Rail {
	rails := make([]*sensors.Rail, len(c.Rails))
	for i, r := range c.Rails {
		rail := r.Rail
		rail.Configured = r.Origin.String()
		rails[i] = &rail
	}
	return rails
}

// Sensor is one sensor as configured.
type Sensor struct {
	Name    string
	Driver  *sensors.Driver
	Options *sensors.Options
	Labels  []sensors.Label // sorted by name
	Origin  Origin

	Schedule   Schedule
	Timeout    time.Duration // of one attempt
	Retries    int           // further attempts within one due read
	KeepFailed int           // failed reads in a row after which the last good readings still stand

	Power  string        // the name of Rail; empty: always powered
	Rail   *Rail         // to be up while the sensor is read; one of Config.Rails
	Warmup time.Duration // from power-up to the first transaction, besides the rail's Settle

	All      Processing            // of every reading of the sensor; see ProcessingOf
	Channels map[string]Processing // by channel, or by quantity ("temperature")
}

// Schedule says when a sensor is due.
type Schedule struct {
	Every time.Duration // zero where At is given
	At    *Cron         // in local time; nil where Every is given
	Phase time.Duration // shifts Every's grid; less than Every
	// Jitter is what Moved is less than; less than Every, or up to 24 h with
	// At. Zero: none.
	Jitter time.Duration
	// Moved is how much later than the grid's points or At's times this machine
	// reads: whole milliseconds, always the same ones.
	Moved time.Duration
	// CatchUp is how long ago a time of At may be that was missed while the
	// daemon or the machine was off, for it to be made up for. Zero: it isn't.
	CatchUp time.Duration
}

// Processing is what becomes of a reading between the driver and the page:
// checked against its range, calibrated, dropped or filtered, cut, renamed.
type Processing struct {
	Name      string            // the channel label's value instead of the channel's name
	Quantity  *sensors.Quantity // instead of the driver's
	Calibrate Calibration
	Drop      *sensors.Range // outside of it a calibrated reading is none
	Filter    Filter
	Clamp     *sensors.Range // the result is cut to it
}

// A Rail is a supply that a line switches, as configured.
type Rail struct {
	sensors.Rail
	Lead     time.Duration // how long the rails in After take to settle
	Origin   Origin
	Implicit bool // made from a sensor's power=LINE
}

// ProcessingOf is what to do with readings of a quantity on a channel (empty:
// the driver has none). What is said of the channel wins over what is said of
// the quantity, and that over what is said of the whole sensor, each of name,
// quantity, calibration, drop, filter and clamp by itself. Both names are the driver's.
func (c *Sensor) ProcessingOf(channel, quantity string) Processing {
	p := c.All
	p = p.overlaid(c.Channels[quantity])
	if channel != "" {
		p = p.overlaid(c.Channels[channel])
	}
	return p
}

func (p Processing) overlaid(over Processing) Processing {
	if over.Name != "" {
		p.Name = over.Name
	}
	if over.Quantity != nil {
		p.Quantity = over.Quantity
	}
	if !over.Calibrate.IsZero() {
		p.Calibrate = over.Calibrate
	}
	if over.Drop != nil {
		p.Drop = over.Drop
	}
	if over.Filter != (Filter{}) {
		p.Filter = over.Filter
	}
	if over.Clamp != nil {
		p.Clamp = over.Clamp
	}
	return p
}

// Fits finds keys about a quantity that the sensor's chip doesn't measure, as it
// turns out when New has recognised it.
func (c *Sensor) Fits(s sensors.Sensor) error {
	v, ok := s.(sensors.Variant)
	if !ok {
		return nil
	}
	model, lacks := v.Lacks()
	for _, q := range lacks {
		if _, ok := c.Channels[q.Name]; ok {
			return sensors.Errorf(sensors.Identity, "the chip is a %s, which doesn't measure %s: remove the keys about %[2]s (%s), or connect a chip that does", model, q.Name, c.Origin)
		}
	}
	return nil
}

// Claims lists the wires that the sensor uses, and after them that of its
// supply, whose Option is "power".
func (c *Sensor) Claims() []sensors.Claim {
	claims := c.Options.Claims()
	if c.Rail != nil {
		claims = append(claims, c.Rail.Claim())
	}
	return claims
}

// Claim is the line that switches the rail.
func (r *Rail) Claim() sensors.Claim {
	return sensors.Claim{Kind: sensors.LineWire, Option: "power", Line: r.Line, Output: true, Force: r.Force}
}

// Chip is the claim of the sensor's chip, which several sensors may read; ok is
// false where it is on no bus.
func (c *Sensor) Chip() (claim sensors.Claim, ok bool) {
	claims := c.Options.Claims()
	i := slices.IndexFunc(claims, func(c sensors.Claim) bool { return c.Use() == sensors.OneChip })
	if i < 0 {
		return sensors.Claim{}, false
	}
	return claims[i], true
}

// Wiring describes how the sensor is connected: "I2C bus 1,
// address 0x76, power GPIO17 (pin 11)". Where no wire is configured it names
// the program, file or driver. It is for people: Claims are for programs.
func (c *Sensor) Wiring() string {
	words := sensors.Words(c.Options.Claims())
	switch {
	case c.Rail == nil:
		return words
	case c.Rail.Implicit:
		return fmt.Sprintf("%s, power %s", words, c.Rail.Line)
	}
	return fmt.Sprintf("%s, power %s on %s", words, c.Rail.Name, c.Rail.Line)
}
