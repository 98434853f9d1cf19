package poll

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/agenda"
	"example.org/dormouse/sensors/poll/buses"
	"example.org/dormouse/sensors/poll/flaps"
	"example.org/dormouse/sensors/poll/series"
)

// A sensor is one configured sensor with its state. The loop owns it, but for
// the part marked below.
type sensor struct {
	entry  agenda.Entry[*sensor]
	cfg    *config.Sensor
	log    *slog.Logger
	chip   *chip     // shared with the sensors on the same one
	after  []*sensor // those it refers to
	rank   int       // its place in the order of reading, from 1
	fresh  bool      // new or changed by the last reload
	result sensors.Result
	good   atomic.Pointer[good] // for sensors that refer to this one

	series   *series.Table
	earlier  sensors.Instant // the success before the last
	failed   int             // due reads in a row
	tries    int             // further ones that were planned since it is down
	down     flaps.Log       // what is logged of that it is down
	partial  flaps.Log       // what is logged of that some channels fail
	panicked bool            // logged the stack

	// Of one that runs programs.
	successor *sensor   // takes its place when the run under way has ended
	overlaps  flaps.Log // what is logged of that it runs longer than its interval
	caughtUp  bool      // it was looked whether it had missed a run

	// The read under way.
	active     bool
	gone       bool // cancelled by a reload
	extra      bool // a further try of a sensor that is down, and no due read
	again      bool // another was asked for after it had begun
	ctx        *alarm.Context
	pending    int       // reads it waits for
	dependents []*sensor // reads that wait for it
	batch      *batch
	bus        *buses.Bus
	rail       *rail
	keepsRail  bool // between reads too: it holds a line
	unpowered  bool // its rail was switched off under it

	// Of one whose line may wake the daemon.
	watch  *watch          // nil: not watched
	wakes  []string        // the sensors that it wakes
	woken  sensors.Instant // when it last did
	byEdge bool            // an edge has asked for the read under way

	// While active the goroutine of the read owns these.
	reader   *reader
	stuck    *reader // hung and was left behind
	since    sensors.Instant
	raised   bool // its rail
	began    sensors.Instant
	err      error
	faults   []error               // of each reading in the report, nil where it is good
	worker   chan *sensor          // is free again; nil: it was left behind
	reported reported              // the driver, of the last outcome
	hook     func(context.Context) // what it wants to run for that
	runFor   time.Time             // the planned time to be recorded; zero: none
}

// good is what other sensors may know of one.
type good struct {
	readings []sensors.Reading
	at       sensors.Instant
}

func newSensor(cfg *config.Sensor, log *slog.Logger) (*sensor, error) {
	if cfg.Schedule.At == nil && cfg.Schedule.Every <= 0 {
		return nil, errors.New("every: no interval is given")
	}
	s := &sensor{series: series.NewTable(cfg), cfg: cfg, log: log.With("sensor", cfg.Name)}
	s.entry = agenda.NewEntry(s, cfg.Schedule)
	s.result = sensors.Result{Name: cfg.Name, Driver: cfg.Driver.Name, Wiring: cfg.Wiring(), Claims: cfg.Claims(), Labels: cfg.Labels, Errors: noErrors(cfg)}
	if s.programs() != nil {
		s.result.Skipped = map[string]uint64{sensors.SkipOverlap: 0}
		if s.entry.Calendar() {
			s.result.Skipped[sensors.SkipMissed] = 0
		}
	}
	return s, nil
}

// noErrors has each reason that reads of the sensor can fail for.
func noErrors(cfg *config.Sensor) map[sensors.Reason]uint64 {
	m := map[sensors.Reason]uint64{}
	for _, r := range cfg.Driver.ReasonsOf(cfg.Claims()) {
		m[r] = 0
	}
	return m
}

// inherit takes over what a sensor on the same device keeps when its schedule,
// labels or processing change.
func (s *sensor) inherit(o *sensor) {
	s.reader, s.stuck, s.since, s.keepsRail = o.reader, o.stuck, o.since, o.keepsRail
	o.reader, o.stuck, o.keepsRail = nil, nil, false
	s.watch, s.wakes, s.woken, o.watch = o.watch, o.wakes, o.woken, nil
	if s.watch != nil {
		s.watch.sensor = s
	}
	s.failed, s.down, s.panicked = o.failed, o.down, o.panicked
	s.reported, s.overlaps = o.reported, o.overlaps
	r := o.result
	r.Readings, r.Failures, r.Expires = nil, nil, 0
	r.Wiring, r.Claims, r.Labels, r.NextRead = s.result.Wiring, s.result.Claims, s.result.Labels, 0
	if len(s.result.Skipped) > len(r.Skipped) {
		maps.Copy(s.result.Skipped, r.Skipped)
		r.Skipped = s.result.Skipped
	}
	s.result = r
	s.entry.Resume(&o.entry)
	if s.reader != nil {
		s.reader.cfg = s.cfg
	}
}

func (s *sensor) holds() bool { return s.reader != nil && s.reader.holds() }

// waitFor puts the read off until that of other has ended.
func (s *sensor) waitFor(other *sensor) {
	if other.active {
		other.dependents = append(other.dependents, s)
		s.pending++
	}
}

// longest is how long a due read may take.
func (s *sensor) longest() time.Duration {
	attempts := time.Duration(s.cfg.Retries + 1)
	d := attempts*(s.cfg.Timeout+graceOf(s.cfg)) + (attempts-1)*retryPause + margin
	if s.cfg.Rail != nil {
		d += s.cfg.Rail.Lead + s.cfg.Rail.Settle + s.cfg.Warmup
	}
	return d
}

// appendWires lists the lines that the sensor holds between polls.
func (s *sensor) appendWires(wires []sensors.Wire) []sensors.Wire {
	if s.active || !s.holds() {
		return wires
	}
	return append(wires, s.reader.held...)
}
