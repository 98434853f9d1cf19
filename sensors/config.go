package sensors

import (
	"fmt"
	"regexp"
	"time"
)

// A Config is what the flags and the file say, in one structure: every value
// validated, every default filled in.
type Config struct {
	Sensors []*SensorConfig
	Rails   []*RailConfig
}

// Origin is where something was written, for messages.
type Origin struct {
	File string // empty: on the command line
	Line int
	Flag string // "--sensor greenhouse=…"
}

func (o Origin) String() string {
	if o.File != "" {
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return o.Flag
}

// SensorConfig is one sensor as configured.
type SensorConfig struct {
	Name    string
	Driver  *Driver
	Options *Options
	Labels  []Label // sorted by name
	Origin  Origin

	Schedule   Schedule
	Timeout    time.Duration // of one attempt
	Retries    int           // further attempts within one due read
	KeepFailed int           // failed reads in a row after which the last good readings still stand

	Power  string        // the rail to be up while it is read; empty: always powered
	Warmup time.Duration // from power-up to the first transaction

	All      Processing            // of the sensor as a whole
	Channels map[string]Processing // by channel, or by quantity ("temperature")
}

// Schedule says when a sensor is due.
type Schedule struct {
	Every time.Duration // zero where At is given
	At    string        // a cron expression, in local time
	Phase time.Duration // shifts Every's grid
}

// Processing is what becomes of a reading between the driver and the page:
// checked against its range, calibrated, filtered, renamed.
type Processing struct {
	Name      string    // the channel label's value instead of the channel's name
	Quantity  *Quantity // instead of the driver's
	Calibrate Calibration
	Filter    Filter
}

// Calibration maps a value v to Points, interpolated between and
// extrapolated beyond, then to v*Scale+Offset. The zero value changes nothing.
type Calibration struct {
	Offset float64
	Scale  float64 // zero: 1
	Points [][2]float64
}

// Filter smooths over the last reads. The zero value changes nothing.
type Filter struct {
	Median  int // of so many reads, an odd number
	Average int // of so many reads, after the median
}

// RailConfig is a supply that a line switches.
type RailConfig struct {
	Name      string
	Line      LineRef
	ActiveLow bool
	Settle    time.Duration // from switching on to stable
	Origin    Origin
	Implicit  bool // made from a sensor's power=LINE
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// validName tells whether s may be the name of a sensor, rail or option.
func validName(s string) bool { return namePattern.MatchString(s) }
