package sensors

import "time"

// A Snapshot is what one wake brought: the state of all sensors after it. It
// is immutable once published, and may be kept.
type Snapshot struct {
	At       Instant // the end of the wake
	NextWake Instant // zero: none is planned
	// Expires is the first moment at which one of the results does. A page
	// rendered from the snapshot is good until then.
	Expires Instant
	Results []Result // in the order of the configuration
	Wires   []Wire
	Stats   Stats
}

// A Result is one sensor's state.
type Result struct {
	Name   string
	Driver string
	Wiring string  // in words: "I2C bus 1, address 0x76"
	Claims []Claim // the same for programs; that of its supply has the option "power"
	Labels []Label // the configuration's own, sorted by name

	// Readings are what is exported: checked, calibrated, filtered, and good
	// until Expires. Labels of a reading are those of its Quantity.
	Readings []Reading
	Failures []Failure // of single channels, at the last read
	// Refused counts the series of the last read that contradict others and
	// are among the Failures for that: see package families.
	Refused int
	Expires Instant // the next due read, with its time-out and retries, should have ended

	// Channels are those of a sensor that has some, as of its last read. What is
	// chosen in the configuration is there from the first read on, the rest once
	// it was seen.
	Channels []Channel

	Tried       bool              // false before the first attempt: then there is no "up"
	Up          bool              // the last read gave readings; some channels may have failed
	Err         error             // why not, where Up is false
	Reason      Reason            // its class
	Reads       uint64            // attempts at a due read, retries not counted
	ExtraTries  uint64            // reads between those, while Up was false
	Errors      map[Reason]uint64 // with each that the sensor can give, and 0
	LastRead    Instant
	LastSuccess Instant // zero: none yet
	NextRead    Instant // zero: none is planned
	Took        time.Duration

	// Of a sensor that runs programs: the last run, the last one that failed,
	// and how many planned runs weren't made, by each cause that it can have.
	LastRun, FailedRun *Run
	Skipped            map[string]uint64
}

// Causes of runs that weren't made: the label "cause" of
// dormouse_skipped_runs_total.
const (
	SkipOverlap = "overlap" // the run before was still under way
	SkipMissed  = "missed"  // the daemon or the machine was off, or the wall clock was set past it
)

// A Channel is one input of a sensor.
type Channel struct {
	Name string // the value of the label "channel" of its readings
	Up   bool   // the last read gave a reading of it
}

// Label is a label of the configuration.
type Label struct{ Name, Value string }

// A Wire is something of the board that is in use: a rail, or a line that is
// held between polls.
type Wire struct {
	Kind   string // "rail" or "line"
	Name   string // the rail's, or the sensor's that holds the line
	Where  string // "GPIO17 (pin 11)"
	Active bool
	OnTime time.Duration // of a rail: how long it has been on since the start
}

// Stats are about the daemon itself, as of the last wake.
type Stats struct {
	Wakes      map[string]uint64 // by cause: start, timer, request, clock
	Awake      time.Duration     // spent in wakes
	ClockJumps uint64            // steps of the wall clock
}

// Wake causes: the label "cause" of dormouse_wakeups_total.
const (
	WakeStart   = "start"
	WakeTimer   = "timer"
	WakeRequest = "request" // SIGUSR1, or a fresh reading asked for
	WakeReload  = "reload"
	WakeClock   = "clock" // the wall clock was stepped
	WakeEdge    = "edge"  // of a line that is watched
)
