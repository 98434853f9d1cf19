package poll

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/internal/order"
)

// A sensor is one configured sensor with what became of it so far. The loop
// owns it, but for the part that says so.
type sensor struct {
	entry
	cfg    *config.Sensor
	log    *slog.Logger
	chip   *chip     // shared with the sensors on the same one
	after  []*sensor // those it refers to
	rank   int       // its place in an order in which nobody waits in a circle
	fresh  bool      // new or changed by the last reload
	result sensors.Result
	good   atomic.Pointer[good] // for sensors that refer to this one

	series   []*series
	earlier  sensors.Instant // the success before the last
	failed   int             // reads in a row
	logged   bool            // that it is down
	partial  bool            // logged that some channels failed
	panicked bool            // logged the stack

	// The read under way.
	active     bool
	gone       bool // broken off by a reload
	ctx        *alarm.Context
	pending    int       // reads it waits for
	dependents []*sensor // reads that wait for it
	batch      *batch
	bus        *bus
	rail       *rail
	keepsRail  bool // between reads too: it holds a line
	unpowered  bool // its rail was switched off under it

	// Of one whose line may wake the daemon.
	watch  *watch          // nil: nobody waits
	wakes  []string        // whom it wakes
	woken  sensors.Instant // when it last did
	byEdge bool            // an edge has asked for the read under way

	// While active the goroutine of the read owns these.
	reader *reader
	stuck  *reader // was left behind
	since  sensors.Instant
	raised bool // its rail
	began  sensors.Instant
	err    error
	faults []error      // of each reading in the report, nil where it is good
	worker chan *sensor // is free again; nil: it was left behind
}

// good is what other sensors may know of one.
type good struct {
	readings []sensors.Reading
	at       sensors.Instant
}

// A chip is read by one sensor at a time.
type chip struct {
	bus  sensors.Bus
	last *sensor // to be read, or being read; nil: none
}

func (p *Poller) newSensor(cfg *config.Sensor) (*sensor, error) {
	if cfg.Schedule.At == nil && cfg.Schedule.Every <= 0 {
		return nil, errors.New("every: how often is it to be read?")
	}
	s := &sensor{entry: newEntry(cfg.Schedule), cfg: cfg, log: p.log.With("sensor", cfg.Name)}
	s.entry.sensor = s
	s.result = sensors.Result{Name: cfg.Name, Driver: cfg.Driver.Name, Wiring: cfg.Wiring(), Labels: cfg.Labels, Errors: noErrors}
	return s, nil
}

// noErrors is shared by all that have none; a count is added to a copy.
var noErrors = func() map[sensors.Reason]uint64 {
	m := make(map[sensors.Reason]uint64, len(sensors.Reasons))
	for _, r := range sensors.Reasons {
		m[r] = 0
	}
	return m
}()

// inherit takes over what a sensor on the same device keeps when its schedule,
// labels or processing change.
func (s *sensor) inherit(o *sensor) {
	s.reader, s.stuck, s.since, s.keepsRail = o.reader, o.stuck, o.since, o.keepsRail
	o.reader, o.stuck, o.keepsRail = nil, nil, false
	s.watch, s.wakes, s.woken, o.watch = o.watch, o.wakes, o.woken, nil
	if s.watch != nil {
		s.watch.sensor = s
	}
	s.failed, s.logged, s.panicked = o.failed, o.logged, o.panicked
	r := o.result
	r.Readings, r.Failures, r.Expires = nil, nil, 0
	r.Wiring, r.Labels, r.NextRead = s.result.Wiring, s.result.Labels, 0
	s.result = r
	s.resume(&o.entry)
	if s.reader != nil {
		s.reader.cfg = s.cfg
	}
}

// release ends what a sensor holds between polls.
func (p *Poller) release(s *sensor) {
	s.stopWatch()
	if s.reader != nil {
		p.keepState(s)
		if err := s.reader.close(); err != nil {
			s.log.Warn("can't let go of a sensor", "wiring", s.result.Wiring, "err", err)
		}
	}
	if r := s.stuck; r != nil {
		go func() {
			<-r.done
			r.leaveBus()
			if err := r.close(); err != nil {
				s.log.Warn("can't let go of a sensor", "wiring", s.result.Wiring, "err", err)
			}
		}()
	}
	if s.keepsRail {
		s.keepsRail = false
		p.lower(s.cfg.Power)
	}
}

func (s *sensor) holds() bool { return s.reader != nil && s.reader.holds() }

// order finds who shares a chip and who is read after whom. A reference that
// closes a circle is left out: check refuses those.
func (set *set) order() {
	type key struct {
		driver string
		bus    sensors.Bus
		addr   sensors.Address
	}
	chips := map[key]*chip{}
	for _, s := range set.sensors {
		s.rank, s.after, s.chip = 0, nil, nil
		if bus, addr, ok := s.cfg.I2C(); ok {
			k := key{s.cfg.Driver.Name, bus, addr}
			if chips[k] == nil {
				chips[k] = &chip{bus: bus}
			}
			s.chip = chips[k]
		}
	}
	references := func(s *sensor) []*sensor {
		var refs []*sensor
		for _, o := range s.cfg.Driver.Options {
			if o.Type != sensors.SensorRefOption {
				continue
			}
			if ref := set.byName[s.cfg.Options.Text(o.Name)]; ref != nil {
				refs = append(refs, ref)
			}
		}
		return refs
	}
	for i, s := range order.Of(set.sensors, references, nil) {
		s.rank = i + 1
		for _, ref := range references(s) {
			if ref.rank > 0 && ref != s {
				s.after = append(s.after, ref)
			}
		}
	}
}

// enlist makes a sensor one of those to be read in this wake.
func (p *Poller) enlist(s *sensor) {
	p.agenda.remove(&s.entry)
	s.active = true
	p.due = append(p.due, s)
}

// wake begins to read those that were enlisted.
func (p *Poller) wake(cause string) {
	due := p.due
	p.due = p.due[:0]
	p.wakes[cause]++
	if p.awakeSince.IsZero() {
		p.awakeSince = p.clock.Now()
	}
	if len(due) == 0 {
		return
	}
	b := &batch{left: len(due)}
	slices.SortFunc(due, func(a, b *sensor) int { return cmp.Compare(a.rank, b.rank) })
	for _, s := range due {
		s.batch, s.pending, s.err, s.gone = b, 0, nil, false
		s.ctx = p.clock.WithDeadline(p.reading, 0)
		for _, ref := range s.after {
			s.waitFor(ref)
		}
		if s.chip != nil {
			if s.chip.last != nil && s.chip.last != s {
				s.waitFor(s.chip.last)
			}
			s.chip.last = s
			s.bus = p.useBus(s.chip.bus)
		}
		p.useRail(s)
	}
	p.inflight += len(due)
	for _, s := range due {
		if s.pending == 0 {
			p.launch(s)
		}
	}
}

func (s *sensor) waitFor(other *sensor) {
	if other.active {
		other.dependents = append(other.dependents, s)
		s.pending++
	}
}

// mostIdle bounds the workers that are kept from wake to wake.
const mostIdle = 4

// launch has a worker read s. Workers are kept, because the stack of a new
// goroutine has to grow first, and that costs a tenth of a short wake.
func (p *Poller) launch(s *sensor) {
	last := len(p.idle) - 1
	if last < 0 {
		go p.work(s)
		return
	}
	p.idle[last] <- s
	p.idle = p.idle[:last]
}

// work reads s, and then one sensor after the other as launch gives them.
func (p *Poller) work(s *sensor) {
	next := make(chan *sensor, 1)
	for s != nil {
		s.began = p.clock.Now()
		err := p.dueRead(s.ctx, s)
		if err == errLeft {
			return
		}
		s.err, s.worker = err, next
		p.done <- s
		s = <-next
	}
}

// free keeps a worker for the next wake, or dismisses it.
func (p *Poller) free(worker chan *sensor) {
	switch {
	case worker == nil:
	case len(p.idle) < mostIdle:
		p.idle = append(p.idle, worker)
	default:
		close(worker)
	}
}

func (p *Poller) dismissWorkers() {
	for _, worker := range p.idle {
		close(worker)
	}
	p.idle = nil
}

// dueRead is one due read with its retries.
func (p *Poller) dueRead(ctx context.Context, s *sensor) error {
	if s.stuck != nil {
		select {
		case <-s.stuck.done:
			s.returned()
		default:
			return sensors.Errorf(sensors.Timeout, "the read that began %s ago hangs in the kernel or in a program and can't be cancelled: look at the wiring; if it goes on, restart", sensors.FormatDuration(s.began.Sub(s.since).Round(time.Second)))
		}
	}
	if s.reader == nil {
		s.reader = p.newReader(s.cfg)
	}
	if s.cfg.Power != "" {
		if err := p.rails.Up(ctx, s.cfg.Power, s.cfg.Warmup); err != nil {
			return err
		}
		s.raised = true
		powered, cancel := p.rails.While(ctx, s.cfg.Power)
		defer cancel()
		err := p.attempts(powered, s)
		if err != errLeft && powered.Err() != nil && ctx.Err() == nil {
			// Without power nothing that was read counts.
			return context.Cause(powered)
		}
		return err
	}
	return p.attempts(ctx, s)
}

// attempts reads once, and again where that fails.
func (p *Poller) attempts(ctx context.Context, s *sensor) error {
	for left := s.cfg.Retries; ; left-- {
		err := p.attempt(ctx, s)
		if err == nil || err == errLeft || left <= 0 || ctx.Err() != nil {
			return err
		}
		if p.clock.Sleep(ctx, retryPause) != nil {
			return err
		}
	}
}

// returned takes back a reader that was left behind.
func (s *sensor) returned() {
	s.reader, s.stuck = s.stuck, nil
	s.reader.cfg = s.cfg
	s.reader.leaveBus()
	if !s.reader.holds() {
		s.reader.sensor = nil
	}
}

// errLeft is the error of an attempt that hung and returned after all, long
// after the read of its sensor had ended without it.
var errLeft = errors.New("was left behind")

// attempt reads once, against the deadline.
func (p *Poller) attempt(ctx context.Context, s *sensor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.reader
	r.batch, r.bus = s.batch, s.bus
	r.awaited.Store(true)
	s.since = p.clock.Now()
	limited := p.clock.WithDeadlineFunc(ctx, s.since.Add(s.cfg.Timeout), func() { p.overdue(s, r) })
	err := r.attempt(limited)
	if !limited.Cancel() { // overdue runs
		awaited := r.awaited.CompareAndSwap(true, false)
		r.done <- struct{}{}
		if !awaited {
			return errLeft
		}
	}
	return p.verdict(limited, s, err)
}

// overdue is what happens besides when the context of an attempt ends before
// it. The attempt returns after the transaction under way, or hangs in it: then
// it is left behind, and the read of its sensor ends here.
func (p *Poller) overdue(s *sensor, r *reader) {
	timer := p.clock.NewTimer()
	if err := timer.Set(p.clock.Now().Add(grace)); err == nil {
		select {
		case <-r.done:
			timer.Stop()
			return
		case <-timer.C():
		}
	}
	if !r.awaited.CompareAndSwap(true, false) {
		<-r.done
		return
	}
	s.stuck, s.reader, s.worker = r, nil, nil
	s.err = sensors.Errorf(sensors.Timeout, "no answer within %s, and the read can't be cancelled: the bus or program hangs", sensors.FormatDuration(s.cfg.Timeout))
	p.done <- s
}

// verdict is the error of an attempt that returned.
func (p *Poller) verdict(ctx context.Context, s *sensor, err error) error {
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded && errors.Is(err, context.DeadlineExceeded) {
			return sensors.Errorf(sensors.Timeout, "not read within %s: %w", sensors.FormatDuration(s.cfg.Timeout), err)
		}
		return err
	}
	r := &s.reader.report
	s.faults = s.faults[:0]
	var first error
	some := false
	for _, reading := range r.Readings() {
		var fault error
		if reading.Dist == nil {
			fault = reading.Quantity.Check(reading.Value)
		}
		s.faults = append(s.faults, fault)
		if first == nil {
			first = fault
		}
		some = some || fault == nil
	}
	if some {
		return nil
	}
	if failures := r.Failures(); first == nil && len(failures) > 0 {
		first = failures[0].Err
	}
	if first == nil {
		first = sensors.Errorf(sensors.NotReady, "the driver reported nothing")
	}
	return first
}

// finish is the end of a due read.
func (p *Poller) finish(s *sensor) {
	hung := s.stuck != nil && s.stuck.bus != nil && s.stuck.bus == s.bus
	p.leaveBus(s, hung)
	p.leaveRail(s)
	s.ctx.Cancel()
	p.inflight--
	if s.batch.left--; s.batch.left == 0 {
		p.complete = true
	}
	s.active = false
	if s.chip != nil && s.chip.last == s {
		s.chip.last = nil
	}
	p.free(s.worker)
	now := p.clock.Now()
	broken := s.err != nil && (s.gone || p.reading.Err() != nil)
	if !broken {
		p.change()
		p.conclude(s, now)
	}
	if s.reader != nil && s.cfg.Power != "" && !s.holds() {
		s.reader.sensor = nil // its rail is off: it is built again
	}
	p.plan(s, now)
	p.startWatch(s)
	for _, d := range s.dependents {
		if d.pending--; d.pending == 0 {
			p.launch(d)
		}
	}
	s.dependents = s.dependents[:0]
	for _, r := range p.waiting {
		delete(r.await, s)
	}
}

// plan sets when the sensor is due next, and until when its readings are good.
func (p *Poller) plan(s *sensor, now sensors.Instant) {
	if p.set.Load().byName[s.cfg.Name] != s {
		return
	}
	var wall time.Time
	if s.cron != nil {
		wall = p.wall()
	}
	s.entry.plan(s.began, now, wall)
	p.agenda.add(&s.entry)
	s.result.NextRead, s.result.Expires = s.next, 0
	if !s.next.IsZero() {
		s.result.Expires = s.next.Add(s.longest())
	}
}

// longest is how long a due read may take.
func (s *sensor) longest() time.Duration {
	attempts := time.Duration(s.cfg.Retries + 1)
	d := attempts*(s.cfg.Timeout+grace) + (attempts-1)*retryPause + margin
	if s.cfg.Rail != nil {
		d += s.cfg.Rail.Lead + s.cfg.Rail.Settle + s.cfg.Warmup
	}
	return d
}

// conclude turns the outcome of a due read into the sensor's result.
func (p *Poller) conclude(s *sensor, now sensors.Instant) {
	res := &s.result
	res.Tried = true
	res.Reads++
	res.LastRead, res.Took = now, now.Sub(s.began)
	res.Failures = nil
	var report *sensors.Report
	if s.reader != nil {
		report = &s.reader.report
	}
	if s.err == nil {
		s.failed = 0
		res.Readings = s.process(report)
		if len(res.Readings) == 0 && len(res.Failures) > 0 {
			s.err = res.Failures[0].Err
		}
	}
	if s.err == nil {
		s.earlier = res.LastSuccess
		res.Up, res.Err, res.Reason, res.LastSuccess = true, nil, "", now
		for _, f := range res.Failures {
			s.count(sensors.ReasonOf(f.Err))
		}
		s.good.Store(&good{res.Readings, now})
		s.tell()
		return
	}
	s.failed++
	res.Up, res.Err, res.Reason = false, s.err, sensors.ReasonOf(s.err)
	s.count(res.Reason)
	s.fail(report)
	s.tell()
}

func (s *sensor) count(r sensors.Reason) {
	s.result.Errors = maps.Clone(s.result.Errors) // earlier Snapshots have the old one
	s.result.Errors[r]++
}

// tell logs a change of state, and nothing else.
func (s *sensor) tell() {
	res := &s.result
	if res.Err != nil && !s.panicked {
		s.tellPanic()
	}
	switch down := s.failed > s.cfg.KeepFailed; {
	case down && !s.logged:
		s.logged = true
		s.log.Warn("sensor is down", "wiring", res.Wiring, "reason", string(res.Reason), "err", res.Err, "configured", s.cfg.Origin.String())
	case res.Up && s.logged:
		s.logged = false
		s.log.Info("sensor is back", "wiring", res.Wiring)
	}
	switch partial := len(res.Failures) > 0; {
	case !res.Up:
	case partial && !s.partial:
		s.partial = true
		f := res.Failures[0]
		s.log.Warn("some channels failed", "wiring", res.Wiring, "failed", len(res.Failures), "labels", f.Labels, "err", f.Err)
	case !partial && s.partial:
		s.partial = false
		s.log.Info("all channels are back", "wiring", res.Wiring)
	}
}

// tellPanic logs a panic's stack, once for each sensor.
func (s *sensor) tellPanic() {
	var p *panicError
	if errors.As(s.result.Err, &p) {
		s.panicked = true
		s.log.Error("the driver panicked", "driver", s.result.Driver, "panic", p.value, "stack", string(p.stack))
	}
}

// appendWires lists the lines that the sensor holds between polls.
func (s *sensor) appendWires(wires []sensors.Wire) []sensors.Wire {
	if s.active || !s.holds() {
		return wires
	}
	for _, l := range s.reader.lines {
		active, err := l.Active()
		if err != nil {
			continue // its sensor says so when it is read
		}
		wires = append(wires, sensors.Wire{Kind: "line", Name: s.cfg.Name, Where: l.ref.String(), Active: active})
	}
	return wires
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
