package config

import (
	"fmt"
	"strings"
	"time"

	"example.org/dormouse/sensors"
)

// A Config is what the flags and the file say, in one structure: every value
// validated, every default filled in.
type Config struct {
	Sensors []*Sensor // the file's first, each in the order written
	Rails   []*Rail   // the defined ones, then the implicit ones
	// Warnings are what is allowed but was hardly meant.
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
}

// Processing is what becomes of a reading between the driver and the page:
// checked against its range, calibrated, filtered, renamed.
type Processing struct {
	Name      string            // the channel label's value instead of the channel's name
	Quantity  *sensors.Quantity // instead of the driver's
	Calibrate Calibration
	Filter    Filter
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
// quantity, calibration and filter by itself. Both names are the driver's.
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
	if over.Filter != (Filter{}) {
		p.Filter = over.Filter
	}
	return p
}

// A UsedLine is a GPIO line that one of a sensor's options names.
type UsedLine struct {
	Option string
	Line   sensors.LineRef
	Output bool
}

// Lines lists the GPIO lines of the sensor's options, in the driver's order;
// not that of its rail.
func (c *Sensor) Lines() []UsedLine {
	var lines []UsedLine
	for _, o := range c.Driver.Options {
		if o.Type != sensors.LineOption && o.Type != sensors.OutputOption {
			continue
		}
		if l, ok := c.Options.Value(o.Name).(sensors.LineRef); ok {
			lines = append(lines, UsedLine{o.Name, l, o.Type == sensors.OutputOption})
		}
	}
	return lines
}

// I2C is the bus and the address of the sensor's chip; ok is false where the
// driver has no address.
func (c *Sensor) I2C() (bus sensors.Bus, addr sensors.Address, ok bool) {
	hasBus, hasAddr := false, false
	for _, o := range c.Driver.Options {
		switch v := c.Options.Value(o.Name).(type) {
		case sensors.Bus:
			bus, hasBus = v, true
		case sensors.Address:
			addr, hasAddr = v, true
		}
	}
	return bus, addr, hasBus && hasAddr
}

// Wiring tells in words through what the sensor is reached: "I2C bus 1,
// address 0x76, power GPIO17 (pin 11)". Where no wire is configured it names
// the program, file or driver.
func (c *Sensor) Wiring() string {
	var parts []string
	if bus, addr, ok := c.I2C(); ok {
		parts = append(parts, bus.String(), "address "+addr.String())
	}
	lines := c.Lines()
	for _, l := range lines {
		if len(lines) == 1 {
			parts = append(parts, l.Line.String())
		} else {
			parts = append(parts, l.Option+" "+l.Line.String())
		}
	}
	if len(parts) == 0 {
		parts = append(parts, c.source())
	}
	if c.Rail != nil {
		power := "power " + c.Rail.Line.String()
		if !c.Rail.Implicit {
			power = fmt.Sprintf("power %s on %s", c.Rail.Name, c.Rail.Line)
		}
		parts = append(parts, power)
	}
	return strings.Join(parts, ", ")
}

// source is where a sensor without wires gets its readings from.
func (c *Sensor) source() string {
	for _, o := range c.Driver.Options {
		if !c.Options.Given(o.Name) {
			continue
		}
		switch v := c.Options.Value(o.Name).(type) {
		case []string:
			return "program " + v[0]
		case string:
			if o.Type == sensors.PathOption {
				return v
			}
			return fmt.Sprintf("%s %s %s", c.Driver.Name, o.Name, v)
		}
	}
	return "by the kernel"
}

// SameDevice tells whether other is the same sensor at the same place with the
// same options and supply, so that one that holds a line, or counts, may live
// on through a reload. Schedule, labels and processing may differ.
func (c *Sensor) SameDevice(other *Sensor) bool {
	sameRail := c.Rail == nil && other.Rail == nil ||
		c.Rail != nil && other.Rail != nil &&
			c.Rail.Line.Key() == other.Rail.Line.Key() && c.Rail.ActiveLow == other.Rail.ActiveLow
	return c.Name == other.Name && c.Driver.Name == other.Driver.Name && sameRail && c.Options.Equal(other.Options)
}
