package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/rails"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/persist"
)

// ErrStopped is the error of a request to a Poller that has stopped.
var ErrStopped = errors.New("the poller has stopped")

// Options are what a Poller works with. Config, Board and Clock must be given.
type Options struct {
	Config *config.Config
	Board  board.Board
	Clock  *alarm.Clock
	// Publish is given each Snapshot, from the poller's goroutine: the next
	// wake waits for it. Nil: none is.
	Publish func(*sensors.Snapshot)
	// StateDirectory is where counts outlive a process that ends cleanly; empty:
	// they don't. They are taken from there when the Poller begins to read.
	StateDirectory string
	// Start and Wait are for the programs of drivers; nil: the methods of
	// exec.Cmd.
	Start, Wait func(*exec.Cmd) error
	Log         *slog.Logger // nil: slog.Default()
	// Ending is called when Run is to end while programs are being run, with how
	// long they may take. Nil: nobody is told.
	Ending func(limit time.Duration)
}

// A Poller reads the sensors of a configuration. Its methods may be called
// from any goroutine.
type Poller struct {
	*shared
	owner    chan struct{} // held by the goroutine that runs the loop
	requests chan *request // to the loop
	latest   atomic.Pointer[sensors.Snapshot]
	loop     *loop // of the owner
}

// shared is what the loop, the reads and the callers of a Poller's methods
// have in common.
type shared struct {
	board  board.Board
	clock  *alarm.Clock
	log    *slog.Logger
	start  func(*exec.Cmd) error
	wait   func(*exec.Cmd) error
	counts *persist.Counts
	// records are of tasks that catch up.
	records *persist.Records
	set     atomic.Pointer[set]
	rails   atomic.Pointer[rails.Rails]
}

func (s *shared) railsOff() error {
	if err := s.rails.Load().AllDown(); err != nil {
		return fmt.Errorf("switch the rails off: %w", err)
	}
	return nil
}

// A request comes from another goroutine.
type request struct {
	names  []string        // to be read; none: all
	reload *reload         // instead: the configuration is to change
	await  map[*sensor]int // how many ends of reads are to be seen
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
		shared: &shared{board: o.Board, clock: o.Clock, log: o.Log, start: o.Start, wait: o.Wait},
		owner:  make(chan struct{}, 1), requests: make(chan *request),
	}
	p.set.Store(&set{config: &config.Config{}, byName: map[string]*sensor{}})
	next, err := newSet(o.Config, o.Log)
	if err != nil {
		return nil, err
	}
	p.counts = persist.NewCounts(o.StateDirectory, o.Log)
	p.records = persist.NewRecords(o.StateDirectory, o.Clock, o.Log)
	p.loop = newLoop(p.shared, o.Config, p.requests, func(s *sensors.Snapshot) {
		p.latest.Store(s)
		o.Publish(s)
	})
	p.loop.ending = o.Ending
	p.loop.install(next)
	return p, nil
}

// Run reads the sensors when they are due and sleeps in between, until ctx
// ends. Then it cancels the reads under way, closes what is held, switches the
// rails off, and saves the counts. It returns nil when ctx ended, and an error
// where the alarm failed. A Poller runs once.
func (p *Poller) Run(ctx context.Context) error {
	p.records.Open(p.set.Load().config)
	select {
	case p.owner <- struct{}{}:
	case <-ctx.Done():
		return p.Close()
	}
	defer func() { <-p.owner }() // to requests that came too late
	_, err := p.loop.run(ctx, nil)
	return errors.Join(err, p.loop.close())
}

// Hurry ends the tasks that Run waits for at its end. It may be called once.
func (p *Poller) Hurry() { close(p.loop.hurry) }

// RailsOff switches the rails off without waiting for anything: at the end of a
// process whose Run doesn't end because of a log or a disk that doesn't answer.
func (p *Poller) RailsOff() error { return p.railsOff() }

// Close releases what a Poller that never ran, or only answered ReadNow, still
// holds: rails go off, then counts are saved. Run does the same at its end.
func (p *Poller) Close() error {
	p.owner <- struct{}{}
	defer func() { <-p.owner }()
	return p.loop.close()
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
// change are cancelled; until programs have ended, which may take long, the other
// sensors are read as before. Where any rail changes, all of them go off for
// a moment.
func (p *Poller) Reload(cfg *config.Config) error {
	next, err := newSet(cfg, p.log)
	if err != nil {
		return err
	}
	p.records.Open(cfg)
	_, err = p.ask(context.Background(), &request{reload: &reload{next: next}, reply: make(chan answer, 1)})
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
		return p.loop.run(ctx, r)
	case <-p.loop.over:
		return nil, ErrStopped
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Snapshot is the latest one; nil before the first wake has ended.
func (p *Poller) Snapshot() *sensors.Snapshot { return p.latest.Load() }
