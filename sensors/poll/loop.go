package poll

import (
	"context"
	"maps"
	"slices"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/agenda"
	"example.org/dormouse/sensors/poll/hooks"
	"example.org/dormouse/sensors/poll/series"
)

// publishAfter is how long a wake waits for its last sensor before it is
// published without it.
const publishAfter = 5 * time.Second

// A loop is the one goroutine that keeps the schedule, decides which sensors are
// read, and publishes. Everything here belongs to it.
type loop struct {
	*shared
	requests <-chan *request
	publish  func(*sensors.Snapshot)

	agenda   agenda.Agenda[*sensor]
	timer    *alarm.Timer
	wires    *wires
	workers  *workers
	watches  *watches
	families series.Families
	awake    awake

	due      []*sensor // of the wake that begins
	running  bool      // by Run: what was missed is caught up
	reading  *alarm.Context
	lasting  *alarm.Context            // of tasks that are waited for at the end, and of what tells of them
	hurry    chan struct{}             // closed: they aren't any longer
	ending   func(limit time.Duration) // is told that they are; may be nil
	untold   []*hooks.Hook             // of changes that aren't published yet
	hooks    *hooks.Set
	inflight int
	changed  sensors.Instant // since when there is something to publish; zero: there isn't
	complete bool            // all of a wake's reads have ended
	waiting  []*request
	reload   *request   // waits for the reads that it cancelled
	later    []*request // come after the reload
	edges    []*watch   // that had one, and come after it, too
	shown    *sensors.Snapshot
	stopped  bool
	over     <-chan struct{} // closed when the poller is to end, by stop
	stop     func()
}

func newLoop(s *shared, cfg *config.Config, requests <-chan *request, publish func(*sensors.Snapshot)) *loop {
	over, stop := context.WithCancel(context.Background())
	l := &loop{shared: s, over: over.Done(), stop: stop, requests: requests, publish: publish, agenda: agenda.New[*sensor](), timer: s.clock.NewTimer(), hurry: make(chan struct{}),
		wires: newWires(s, cfg), watches: newWatches(s.clock), hooks: hooks.New(s.clock), awake: newAwake()}
	l.workers = newWorkers(s, l.wires)
	return l
}

// run reads what is due until ctx ends, or, where only is given, until that
// request is answered and nothing is being read.
func (l *loop) run(ctx context.Context, only *request) (*sensors.Snapshot, error) {
	if l.stopped {
		return nil, ErrStopped
	}
	l.counts.Take()
	l.reading = l.clock.WithDeadline(ctx, 0)
	defer l.reading.Cancel()
	l.lasting = l.reading
	if only == nil {
		l.lasting = newLasting(l.clock, ctx) // until close
	}
	requests, jumps, edges := l.requests, l.clock.Jumps(), l.watches.edges
	if only != nil {
		requests, jumps, edges = nil, nil, nil
		l.accept(only, false)
	} else {
		l.begin()
	}
	for {
		l.settle()
		if only != nil && l.inflight == 0 {
			l.timer.Stop()
			<-l.hooks.Ended() // before their context does
			a := <-only.reply // settle has answered everybody
			return a.snapshot, a.err
		}
		if err := l.arm(only == nil); err != nil {
			return nil, l.cancel(err, only == nil)
		}
		select {
		case <-ctx.Done():
			err := ctx.Err()
			if only == nil {
				err = nil
			}
			return nil, l.cancel(err, only == nil)
		case _, open := <-l.timer.C():
			if !open {
				return nil, l.cancel(alarm.ErrClosed, only == nil)
			}
			if only == nil {
				l.ring()
			}
		case s := <-l.workers.done:
			l.finish(s)
		case j := <-jumps:
			l.jumped(j)
		case w := <-edges:
			l.edge(w)
		case r := <-requests:
			l.accept(r, true)
		}
	}
}

// cancel ends all reads but those of tasks that are to be waited for; each
// returns at once, a program when it has ended, or is left behind. last tells
// that the poller is to end: from here on requests are refused.
func (l *loop) cancel(err error, last bool) error {
	if last {
		l.stop()
	}
	l.reading.Cancel()
	l.waiting = append(l.waiting, l.later...)
	if l.reload != nil {
		l.waiting = append(l.waiting, l.reload)
		l.reload = nil
	}
	for _, r := range l.waiting {
		r.reply <- answer{err: ErrStopped}
	}
	l.waiting = nil
	l.waitForReads(last)
	l.timer.Stop()
	return err
}

// close releases what is held between wakes.
func (l *loop) close() error {
	if l.stopped {
		return nil
	}
	l.stopped = true
	l.stop()
	l.workers.dismiss()
	for _, s := range l.set.Load().sensors {
		l.release(s)
	}
	err := l.railsOff()
	if err != nil {
		l.log.Error("can't switch the rails off", "err", err)
	}
	l.counts.Save() // the disk may hang
	l.records.Close()
	l.waitForHooks()
	if l.lasting != nil {
		l.lasting.Cancel()
	}
	return err
}

// arm sets the timer to the next thing to do.
func (l *loop) arm(scheduled bool) error {
	var at sensors.Instant
	if scheduled {
		at = l.agenda.Next()
	}
	if l.inflight > 0 && !l.changed.IsZero() {
		if late := l.changed.Add(publishAfter); at.IsZero() || late.Before(at) {
			at = late
		}
	}
	return l.timer.Set(at)
}

// accept begins what another goroutine asks for.
func (l *loop) accept(r *request, running bool) {
	if l.isForLater(r) {
		l.later = append(l.later, r)
		return
	}
	if r.reload != nil {
		l.acceptReload(r)
		return
	}
	chosen, err := l.set.Load().choose(r.names)
	if err != nil {
		r.reply <- answer{err: err}
		return
	}
	if err := l.refuse(r.names, chosen); err != nil {
		r.reply <- answer{err: err}
		return
	}
	r.await = make(map[*sensor]int, len(chosen))
	l.waiting = append(l.waiting, r)
	for _, s := range chosen {
		r.await[s] = l.ask(s)
	}
	if running && len(l.due) > 0 {
		l.enlistDue(l.clock.Now()) // awake anyway
	}
	l.change()
	l.wake(sensors.WakeRequest)
}

// change notes that there is something to publish.
func (l *loop) change() {
	if l.changed.IsZero() {
		l.changed = l.clock.Now()
	}
}

// settle publishes when a wake has ended or takes long, answers the requests
// that are done, and continues a reload.
func (l *loop) settle() {
	now := l.clock.Now()
	answered := slices.ContainsFunc(l.waiting, func(r *request) bool { return len(r.await) == 0 })
	over := l.inflight == 0
	if !l.changed.IsZero() && (over || answered || l.complete || !now.Before(l.changed.Add(publishAfter))) {
		l.show(now, over)
	}
	if answered {
		l.waiting = slices.DeleteFunc(l.waiting, func(r *request) bool {
			if len(r.await) > 0 {
				return false
			}
			r.reply <- answer{snapshot: l.shown}
			return true
		})
	}
	if l.reload != nil && l.mayReload() {
		l.finishReload()
		l.settle()
	}
}

// show publishes a Snapshot.
func (l *loop) show(now sensors.Instant, over bool) {
	all := l.set.Load().sensors
	for _, s := range all {
		if !s.active && l.families.Check(s.series) {
			s.withdraw()
		}
	}
	stats := sensors.Stats{Wakes: maps.Clone(l.awake.wakes), Awake: l.awake.total(now), ClockJumps: l.clock.JumpCount()}
	if over {
		l.awake.end(now)
	}
	l.changed, l.complete = 0, false
	l.shown = l.snapshot(now)
	l.shown.Stats = stats
	l.publish(l.shown)
	l.startHooks()
}

func (l *loop) snapshot(now sensors.Instant) *sensors.Snapshot {
	all := l.set.Load().sensors
	shot := &sensors.Snapshot{At: now, Results: make([]sensors.Result, len(all))}
	if l.running {
		shot.NextWake = l.agenda.Next()
	}
	shot.Wires = l.rails.Load().Wires()
	for i, s := range all {
		shot.Results[i] = s.result
		if e := s.result.Expires; !e.IsZero() && (shot.Expires.IsZero() || e.Before(shot.Expires)) {
			shot.Expires = e
		}
		shot.Wires = s.appendWires(shot.Wires)
	}
	return shot
}

// awake counts the wakes and their time.
type awake struct {
	wakes map[string]uint64 // by cause
	spent time.Duration     // in wakes that are over
	since sensors.Instant   // zero: asleep
}

func newAwake() awake {
	return awake{wakes: map[string]uint64{sensors.WakeStart: 0, sensors.WakeTimer: 0, sensors.WakeRequest: 0,
		sensors.WakeReload: 0, sensors.WakeClock: 0, sensors.WakeEdge: 0}}
}

func (a *awake) begin(cause string, now sensors.Instant) {
	a.wakes[cause]++
	if a.since.IsZero() {
		a.since = now
	}
}

func (a *awake) total(now sensors.Instant) time.Duration {
	if a.since.IsZero() {
		return a.spent
	}
	return a.spent + now.Sub(a.since)
}

func (a *awake) end(now sensors.Instant) {
	a.spent, a.since = a.total(now), 0
}
