package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os/exec"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
)

const (
	// grace is how long a read may take to return after its deadline: the
	// kernel gives up an I2C transaction after 1 s (struct i2c_adapter,
	// timeout, of i2c-bcm2835). After that it counts as hung.
	grace = 1500 * time.Millisecond
	// retryPause lies before another attempt, so that what disturbed the
	// first is over.
	retryPause = 100 * time.Millisecond
	// patience is how long a wake waits for its last sensor before it is
	// published without it.
	patience = 5 * time.Second
	// margin is what else a read may take on a busy machine before its last
	// readings expire.
	margin = 5 * time.Second
	// saveEvery is how often counts are written to the state directory while
	// the daemon runs: a flash card wears out by writing.
	saveEvery = time.Hour
)

// ErrStopped is the error of a request to a Poller that has stopped.
var ErrStopped = errors.New("the poller has stopped")

// Options are what a Poller works with. Config, Board and Clock must be given.
type Options struct {
	Config *config.Config
	Board  board.Board
	Clock  *alarm.Clock
	// Publish is given each Snapshot, from the poller's goroutine: the next
	// wake waits for it. Nil: nobody is told.
	Publish func(*sensors.Snapshot)
	// StateDirectory is where counts outlive the process; empty: they don't.
	StateDirectory string
	// Start and Wait are for the programs of drivers; nil: the methods of
	// exec.Cmd.
	Start, Wait func(*exec.Cmd) error
	Log         *slog.Logger // nil: slog.Default()
}

// A Poller reads the sensors of a configuration. Its methods may be called
// from any goroutine.
type Poller struct {
	board   board.Board
	clock   *alarm.Clock
	log     *slog.Logger
	publish func(*sensors.Snapshot)
	start   func(*exec.Cmd) error
	wait    func(*exec.Cmd) error
	states  *states

	owner    chan struct{} // held by whoever runs the loop
	requests chan *request // to the loop
	done     chan *sensor  // reads that ended
	edges    chan *watch   // that had an edge
	set      atomic.Pointer[set]
	latest   atomic.Pointer[sensors.Snapshot]

	// What follows belongs to the loop.
	agenda   agenda
	timer    *alarm.Timer
	rails    *board.Rails
	railUse  map[string]*rail
	buses    map[sensors.Bus]*bus
	families map[string]*family
	due      []*sensor      // of the wake that begins
	idle     []chan *sensor // workers that wait for a sensor
	reading  *alarm.Context
	inflight int
	changed  sensors.Instant // since when there is something to publish; zero: there isn't
	complete bool            // all of a wake's reads have ended
	waiting  []*request
	reload   *request // waits for reads that it broke off
	watching bool     // edges are waited for
	stopped  bool

	awake      time.Duration
	awakeSince sensors.Instant // zero: asleep
	wakes      map[string]uint64
}

// set is the sensors of one configuration.
type set struct {
	config  *config.Config
	sensors []*sensor // in the order of the configuration
	byName  map[string]*sensor
}

// A request comes from another goroutine.
type request struct {
	names  []string
	config *config.Config // of a reload
	next   *set           // what becomes of it
	rails  *board.Rails   // nil: as before
	await  map[*sensor]bool
	reply  chan answer
}

type answer struct {
	snapshot *sensors.Snapshot
	err      error
}

// New makes a Poller; nothing is opened or read. An error is in the
// configuration.
func New(o Options) (*Poller, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Publish == nil {
		o.Publish = func(*sensors.Snapshot) {}
	}
	if o.Start == nil {
		o.Start, o.Wait = (*exec.Cmd).Start, (*exec.Cmd).Wait
	}
	p := &Poller{
		board: o.Board, clock: o.Clock, log: o.Log, publish: o.Publish, start: o.Start, wait: o.Wait,
		owner: make(chan struct{}, 1), requests: make(chan *request), done: make(chan *sensor), edges: make(chan *watch),
		agenda: newAgenda(), timer: o.Clock.NewTimer(), railUse: map[string]*rail{},
		buses: map[sensors.Bus]*bus{}, families: map[string]*family{},
		wakes: map[string]uint64{sensors.WakeStart: 0, sensors.WakeTimer: 0, sensors.WakeRequest: 0, sensors.WakeReload: 0, sensors.WakeClock: 0, sensors.WakeEdge: 0},
	}
	p.set.Store(&set{config: &config.Config{}, byName: map[string]*sensor{}})
	next, err := p.build(o.Config)
	if err != nil {
		return nil, err
	}
	p.rails = p.newRails(o.Config)
	p.states = loadStates(o.StateDirectory, o.Log, o.Clock.Now())
	p.install(next)
	return p, nil
}

// build makes the sensors of a configuration; those that live on are taken
// over by install.
func (p *Poller) build(cfg *config.Config) (*set, error) {
	next := &set{config: cfg, byName: make(map[string]*sensor, len(cfg.Sensors))}
	var errs []error
	for _, one := range cfg.Sensors {
		s, err := p.newSensor(one)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: sensor %s: %w", one.Origin, one.Name, err))
			continue
		}
		next.sensors = append(next.sensors, s)
		next.byName[one.Name] = s
	}
	return next, errors.Join(errs...)
}

// Run reads the sensors when they are due and sleeps in between, until ctx
// ends. Then it breaks off what is being read, switches the rails off, saves
// the counts and closes what is held. It returns nil when ctx ended, and an
// error where the alarm failed. A Poller runs once.
func (p *Poller) Run(ctx context.Context) error {
	select {
	case p.owner <- struct{}{}:
	case <-ctx.Done():
		return p.Close()
	}
	_, err := p.loop(ctx, nil)
	<-p.owner
	return errors.Join(err, p.Close())
}

// Close releases what a Poller that never ran, or only answered ReadNow, still
// holds: rails go off, counts are saved. Run does the same at its end.
func (p *Poller) Close() error {
	p.owner <- struct{}{}
	defer func() { <-p.owner }()
	if p.stopped {
		return nil
	}
	p.stopped = true
	for _, s := range p.set.Load().sensors {
		p.release(s)
	}
	p.states.save(p.clock.Now())
	if err := p.rails.AllDown(); err != nil {
		p.log.Error("can't switch the rails off", "err", err)
		return fmt.Errorf("switch the rails off: %w", err)
	}
	return nil
}

// ReadNow reads the named sensors, or all, now, and returns the Snapshot after
// it. Sensors that fail are no error. Where Run isn't running it does the work
// itself, and holds what it holds until Close.
func (p *Poller) ReadNow(ctx context.Context, names ...string) (*sensors.Snapshot, error) {
	return p.ask(ctx, &request{names: names, reply: make(chan answer, 1)})
}

// Reload changes the configuration, whole or, where the error isn't nil, not
// at all. A sensor that is configured as before keeps all it had; one whose
// device is the same keeps the line it holds and its count. What is new or
// changed is read at once, if Run is running. Reads of sensors that go or
// change are broken off. Where any rail changes, all of them go off for a
// moment.
func (p *Poller) Reload(cfg *config.Config) error {
	next, err := p.build(cfg)
	if err != nil {
		return err
	}
	_, err = p.ask(context.Background(), &request{config: cfg, next: next, reply: make(chan answer, 1)})
	return err
}

// ask hands r to the loop, or is the loop until r is answered.
func (p *Poller) ask(ctx context.Context, r *request) (*sensors.Snapshot, error) {
	select {
	case p.requests <- r:
		select {
		case a := <-r.reply:
			return a.snapshot, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case p.owner <- struct{}{}:
		defer func() { <-p.owner }()
		return p.loop(ctx, r)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Snapshot is the latest one; nil before the first wake has ended.
func (p *Poller) Snapshot() *sensors.Snapshot { return p.latest.Load() }

// loop reads what is due until ctx ends, or, where only is given, until that
// request is answered and nothing is being read.
func (p *Poller) loop(ctx context.Context, only *request) (*sensors.Snapshot, error) {
	if p.stopped {
		return nil, ErrStopped
	}
	p.reading = p.clock.WithDeadline(ctx, 0)
	defer p.reading.Cancel()
	defer p.dismissWorkers()
	requests, jumps, edges := p.requests, p.clock.Jumps(), p.edges
	if only != nil {
		requests, jumps, edges = nil, nil, nil
		p.accept(only, false)
	} else {
		p.begin()
	}
	for {
		p.settle()
		if only != nil && p.inflight == 0 {
			p.timer.Stop()
			a := <-only.reply // settle has answered everybody
			return a.snapshot, a.err
		}
		if err := p.arm(only == nil); err != nil {
			return nil, p.breakOff(err)
		}
		accepting, woken := requests, edges
		if p.reload != nil {
			accepting, woken = nil, nil // first this
		}
		select {
		case <-ctx.Done():
			err := ctx.Err()
			if only == nil {
				err = nil
			}
			return nil, p.breakOff(err)
		case _, open := <-p.timer.C():
			if !open {
				return nil, p.breakOff(alarm.ErrClosed)
			}
			if only == nil {
				p.ring()
			}
		case s := <-p.done:
			p.finish(s)
		case <-jumps:
			p.jumped()
		case w := <-woken:
			p.edge(w)
		case r := <-accepting:
			p.accept(r, true)
		}
	}
}

// breakOff ends all reads; each returns at once or is left behind.
func (p *Poller) breakOff(err error) error {
	p.reading.Cancel()
	for p.inflight > 0 {
		p.finish(<-p.done)
	}
	p.timer.Stop()
	if p.reload != nil {
		p.waiting = append(p.waiting, p.reload)
		p.reload = nil
	}
	for _, r := range p.waiting {
		r.reply <- answer{err: ErrStopped}
	}
	p.waiting = nil
	return err
}

// arm sets the timer to the next thing to do.
func (p *Poller) arm(scheduled bool) error {
	var at sensors.Instant
	if scheduled && p.reload == nil {
		at = p.agenda.next()
	}
	if p.inflight > 0 && !p.changed.IsZero() {
		if late := p.changed.Add(patience); at.IsZero() || late.Before(at) {
			at = late
		}
	}
	return p.timer.Set(at)
}

// begin is the first wake: everything with an interval that wasn't read yet.
func (p *Poller) begin() {
	p.watching = true
	for _, s := range p.set.Load().sensors {
		p.startWatch(s)
		if s.cron == nil && !s.result.Tried && !s.active {
			p.enlist(s)
		}
	}
	p.restRails()
	p.wake(sensors.WakeStart)
	p.change() // the page exists even where nothing is due
}

// restRails switches off what an earlier process may have left on, where no
// read will do it now: a valve whose time is tomorrow.
func (p *Poller) restRails() {
	soon := map[string]bool{}
	for _, s := range p.due {
		soon[s.cfg.Power] = true
	}
	if err := p.rails.Rest(func(name string) bool { return soon[name] }); err != nil {
		// The read that needs it tells as an error what is wrong with it.
		p.log.Debug("can't make sure that a rail is off", "err", err)
	}
}

// ring is the timer: somebody is due, or the wake has lasted long enough to be
// published as far as it is.
func (p *Poller) ring() {
	now := p.clock.Now()
	if at := p.agenda.next(); at.IsZero() || at.After(now) || p.reload != nil {
		return
	}
	p.enlistDue(now)
	p.wake(sensors.WakeTimer)
}

// enlistDue enlists who is due, and who is nearly due.
func (p *Poller) enlistDue(now sensors.Instant) {
	for e := p.agenda.pop(now); e != nil; e = p.agenda.pop(now) {
		if e.cron != nil {
			// The wall clock may have been set by less than a Jump reports.
			e.replan(now, p.wall())
			if e.next.IsZero() || e.next.After(now) {
				p.agenda.add(e)
				continue
			}
		}
		p.enlist(e.sensor)
	}
}

// jumped plans the calendar's times again after a step of the wall clock.
func (p *Poller) jumped() {
	now, wall := p.clock.Now(), p.wall()
	for _, s := range p.set.Load().sensors {
		if s.cron == nil || s.active {
			continue
		}
		p.agenda.remove(&s.entry)
		s.replan(now, wall)
		p.agenda.add(&s.entry)
		s.result.NextRead = s.next
	}
	p.wakes[sensors.WakeClock]++
	p.change() // the page shows wall-clock times
}

// change notes that there is something to publish.
func (p *Poller) change() {
	if p.changed.IsZero() {
		p.changed = p.clock.Now()
	}
}

// wall is the time on the wall clock; zero while that can't be true.
func (p *Poller) wall() time.Time {
	t, _ := p.clock.Wall(p.clock.Now())
	return t
}

// accept begins what another goroutine asks for.
func (p *Poller) accept(r *request, running bool) {
	if r.config != nil {
		p.acceptReload(r)
		return
	}
	set := p.set.Load()
	chosen := set.sensors
	if len(r.names) > 0 {
		chosen = nil
		for _, name := range r.names {
			s := set.byName[name]
			if s == nil {
				r.reply <- answer{err: fmt.Errorf("there is no sensor %q", name)}
				return
			}
			chosen = append(chosen, s)
		}
	}
	r.await = make(map[*sensor]bool, len(chosen))
	p.waiting = append(p.waiting, r)
	for _, s := range chosen {
		r.await[s] = true
		if !s.active {
			p.enlist(s)
		}
	}
	if running && len(p.due) > 0 {
		p.enlistDue(p.clock.Now()) // awake anyway
	}
	p.change()
	p.wake(sensors.WakeRequest)
}

// settle publishes where a wake has ended or has lasted long, answers who
// waits, and goes on with a reload.
func (p *Poller) settle() {
	now := p.clock.Now()
	answered := slices.ContainsFunc(p.waiting, func(r *request) bool { return len(r.await) == 0 })
	over := p.inflight == 0
	if !p.changed.IsZero() && (over || answered || p.complete || !now.Before(p.changed.Add(patience))) {
		p.show(now, over)
	}
	if answered {
		p.waiting = slices.DeleteFunc(p.waiting, func(r *request) bool {
			if len(r.await) > 0 {
				return false
			}
			r.reply <- answer{snapshot: p.latest.Load()}
			return true
		})
	}
	if p.reload != nil && p.mayReload() {
		p.finishReload()
		p.settle()
	}
}

// show publishes a Snapshot.
func (p *Poller) show(now sensors.Instant, over bool) {
	for _, s := range p.set.Load().sensors {
		p.judge(s)
	}
	awake := p.awake
	if !p.awakeSince.IsZero() {
		awake += now.Sub(p.awakeSince)
	}
	if over {
		p.awake, p.awakeSince = awake, 0
		if p.states.due(now) {
			p.keep()
			p.states.save(now)
		}
	}
	p.changed, p.complete = 0, false
	snapshot := p.snapshot(now)
	snapshot.Stats = sensors.Stats{Wakes: maps.Clone(p.wakes), Awake: awake, ClockJumps: p.clock.JumpCount()}
	p.latest.Store(snapshot)
	p.publish(snapshot)
}

func (p *Poller) snapshot(now sensors.Instant) *sensors.Snapshot {
	all := p.set.Load().sensors
	shot := &sensors.Snapshot{At: now, NextWake: p.agenda.next(), Results: make([]sensors.Result, len(all))}
	shot.Wires = p.rails.Wires()
	for i, s := range all {
		shot.Results[i] = s.result
		if e := s.result.Expires; !e.IsZero() && (shot.Expires.IsZero() || e.Before(shot.Expires)) {
			shot.Expires = e
		}
		shot.Wires = s.appendWires(shot.Wires)
	}
	return shot
}

// acceptReload breaks off the reads of sensors that go or change; when these
// have ended, finishReload does the rest.
func (p *Poller) acceptReload(r *request) {
	old := p.set.Load()
	if !sameRails(old.config.Rails, r.config.Rails) {
		r.rails = p.newRails(r.config)
	}
	p.reload = r
	for _, s := range old.sensors {
		if s.active && !p.staysReading(s) {
			s.gone = true
			s.ctx.Cancel()
		}
	}
}

// staysReading tells whether a read under way goes on through the reload.
func (p *Poller) staysReading(s *sensor) bool {
	n := p.reload.next.byName[s.cfg.Name]
	return n != nil && sameConfig(s.cfg, n.cfg) && (p.reload.rails == nil || s.cfg.Power == "")
}

func (p *Poller) mayReload() bool {
	for _, s := range p.set.Load().sensors {
		if s.active && s.gone {
			return false
		}
	}
	return true
}

func (p *Poller) finishReload() {
	r := p.reload
	p.reload = nil
	if r.rails != nil {
		p.swapRails(r.rails)
	}
	p.install(r.next)
	for _, w := range p.waiting { // for a sensor that isn't there any more
		maps.DeleteFunc(w.await, func(s *sensor, _ bool) bool { return p.set.Load().byName[s.cfg.Name] != s })
	}
	for _, s := range p.set.Load().sensors {
		if s.fresh && s.cron == nil {
			p.enlist(s)
		}
	}
	p.change()
	p.wake(sensors.WakeReload)
	r.await = map[*sensor]bool{}
	p.waiting = append(p.waiting, r)
}

func (p *Poller) swapRails(rails *board.Rails) {
	if err := p.rails.AllDown(); err != nil {
		p.log.Error("can't switch the rails off", "err", err)
	}
	p.rails = rails
	clear(p.railUse)
	for _, s := range p.set.Load().sensors {
		s.unpowered = s.keepsRail
		s.keepsRail = false
	}
}

// install makes next the set of sensors, with what lives on of the present one.
func (p *Poller) install(next *set) {
	old := p.set.Load()
	now, wall := p.clock.Now(), p.wall()
	for i, n := range next.sensors {
		o := old.byName[n.cfg.Name]
		switch {
		case o != nil && sameConfig(o.cfg, n.cfg):
			next.sensors[i], next.byName[n.cfg.Name] = o, o
			o.cfg.Origin, o.fresh, o.unpowered = n.cfg.Origin, o.unpowered, false
			continue
		case o != nil && o.cfg.SameDevice(n.cfg):
			n.inherit(o)
			p.agenda.remove(&o.entry)
		}
		n.fresh = true
		if n.cron != nil {
			n.replan(now, wall)
			p.agenda.add(&n.entry)
			n.result.NextRead = n.next
		}
	}
	for _, o := range old.sensors {
		if next.byName[o.cfg.Name] != o {
			p.agenda.remove(&o.entry)
			p.release(o)
		}
	}
	p.set.Store(next)
	next.order()
	p.claim(next)
}

// sameConfig tells whether nothing but the place in the file differs.
func sameConfig(a, b *config.Sensor) bool {
	x, y := *a, *b
	x.Origin, y.Origin = config.Origin{}, config.Origin{}
	x.Driver, y.Driver, x.Options, y.Options, x.Rail, y.Rail = nil, nil, nil, nil, nil, nil
	return a.SameDevice(b) && reflect.DeepEqual(x, y)
}

func (p *Poller) newRails(cfg *config.Config) *board.Rails {
	rails := board.NewRails(cfg.Supplies(), p.board, p.clock)
	rails.Log = p.log
	return rails
}

func sameRails(a, b []*config.Rail) bool {
	return slices.EqualFunc(a, b, func(a, b *config.Rail) bool {
		x, y := *a, *b
		x.Origin, y.Origin = config.Origin{}, config.Origin{}
		return reflect.DeepEqual(x, y)
	})
}
