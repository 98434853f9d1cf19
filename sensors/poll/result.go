package poll

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll/series"
)

// conclude turns the outcome of a read into the sensor's result. A further try
// that fails changes no count but its own.
func (s *sensor) conclude(now sensors.Instant) {
	res := &s.result
	res.Tried = true
	if s.extra {
		res.ExtraTries++
	} else {
		res.Reads++
	}
	res.LastRead, res.Took = now, now.Sub(s.began)
	out := series.Outcome{}
	var report *sensors.Report
	if s.reader != nil {
		report = &s.reader.report
	}
	s.noteRun(report)
	if s.err == nil {
		out = s.series.Process(res.Reads+res.ExtraTries, report, s.faults)
		s.err = out.Failed()
	}
	res.Readings, res.Failures, res.Refused = out.Readings, out.Failures, out.Refused
	res.Channels = s.series.Channels(s.err == nil)
	if s.err == nil {
		s.earlier, s.failed = res.LastSuccess, 0
		res.Up, res.Err, res.Reason, res.LastSuccess = true, nil, "", now
		if !s.extra {
			s.countAll(res.Failures)
		}
		s.good.Store(&good{res.Readings, now})
		s.logState()
		return
	}
	res.Up, res.Err, res.Reason = false, s.err, sensors.ReasonOf(s.err)
	if !s.extra {
		s.failed++
		s.count(res.Reason)
	}
	keep := s.failed <= s.cfg.KeepFailed
	if !keep {
		s.good.Store(nil)
	}
	res.Readings = s.series.Fail(report, s.failed, keep)
	s.logState()
}

// withdraw takes the series that are in conflict off the result, where they are
// errors.
func (s *sensor) withdraw() {
	res := &s.result
	out := s.series.Withdraw()
	res.Readings, res.Refused = out.Readings, res.Refused+out.Refused
	res.Failures = append(slices.Clone(res.Failures), out.Failures...)
	s.countAll(out.Failures)
	res.Channels = s.series.Channels(res.Up)
	if err := out.Failed(); res.Up && err != nil {
		res.Up, res.Err = false, err
		res.Reason, res.LastSuccess = sensors.ReasonOf(res.Err), s.earlier
		s.failed++
		s.good.Store(nil)
	}
	s.logState()
}

func (s *sensor) count(r sensors.Reason) {
	s.result.Errors = maps.Clone(s.result.Errors) // earlier Snapshots have the old one
	s.result.Errors[r]++
}

func (s *sensor) countAll(failures []sensors.Failure) {
	if len(failures) == 0 {
		return
	}
	s.result.Errors = maps.Clone(s.result.Errors) // earlier Snapshots have the old one
	for _, f := range failures {
		s.result.Errors[sensors.ReasonOf(f.Err)]++
	}
}

// logState logs a change of state, and nothing else.
func (s *sensor) logState() {
	res := &s.result
	if res.Err != nil && !s.panicked {
		s.logPanic()
	}
	var down error
	if s.failed > s.cfg.KeepFailed {
		down = res.Err
	}
	if down != nil || res.Up { // else keep-failed tolerates it
		s.down.Note(s.log, "the sensor", res.LastRead, down, func(bad bool) {
			if !bad {
				s.log.Info("sensor is back", "wiring", res.Wiring)
				return
			}
			s.log.Warn("sensor is down", "wiring", res.Wiring, "reason", string(res.Reason), "err", res.Err, "configured", s.cfg.Origin.String())
		})
	}
	if !res.Up {
		return
	}
	var failure sensors.Failure
	if len(res.Failures) > 0 {
		failure = res.Failures[0]
	}
	s.partial.Note(s.log, "a channel", res.LastRead, failure.Err, func(bad bool) {
		if !bad {
			s.log.Info("all channels are back", "wiring", res.Wiring)
			return
		}
		s.log.Warn("some channels failed", "wiring", res.Wiring, "failed", len(res.Failures), "labels", failure.Labels, "err", failure.Err)
	})
}

// logPanic logs a panic's stack, once for each sensor.
func (s *sensor) logPanic() {
	var p *panicError
	if errors.As(s.result.Err, &p) {
		s.panicked = true
		s.log.Error("the driver panicked", "driver", s.result.Driver, "panic", p.value, "stack", string(p.stack))
	}
}

// panicError is a driver's panic, caught.
type panicError struct {
	value any
	stack []byte
}

func newPanicError(v any) error { return &panicError{v, debug.Stack()} }

func (e *panicError) Error() string {
	return fmt.Sprintf("the driver panicked: %v: this is a fault in the program, please report it", e.value)
}
