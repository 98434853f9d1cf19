package poll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
	"example.org/dormouse/sensors/config"
	"go.uber.org/goleak"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a poller on a clock that is moved by hand and a board that does
// as the test says. synctest knows when everybody waits; no Go timer is used.
type world struct {
	*testing.T
	clock *alarm.Fake
	*fakeBoard
	poll *Poller
	dir  string

	mu    sync.Mutex
	log   bytes.Buffer
	shots []*sensors.Snapshot

	stop  context.CancelFunc
	ended chan error
}

// boot is where the clock stands at first: an hour after the machine started,
// which is on the grid of every interval here.
const boot = alarm.Instant(time.Hour)

var noon = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

// in runs f in a world of its own.
func in(t *testing.T, f func(w *world)) {
	t.Helper()
	inAt(t, noon, f)
}

func inAt(t *testing.T, wall time.Time, f func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, clock: alarm.NewFake(boot, wall), fakeBoard: newFakeBoard(), dir: dir}
		w.fakeBoard.now = w.clock.Now
		f(w)
		if w.stop != nil {
			w.end()
		}
		w.clock.Close()
	})
}

func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

// lines is what was logged and holds all the words.
func (w *world) lines(words ...string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, l := range strings.Split(strings.TrimSpace(w.log.String()), "\n") {
		if l != "" && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(l, word) }) {
			found = append(found, l)
		}
	}
	return found
}

func configOf(all ...*config.Sensor) *config.Config {
	c := &config.Config{Sensors: all}
	for _, s := range all {
		if s.Rail != nil && !slices.Contains(c.Rails, s.Rail) {
			c.Rails = append(c.Rails, s.Rail)
		}
	}
	return c
}

// make builds the poller.
func (w *world) make(all ...*config.Sensor) *Poller {
	w.Helper()
	return w.makeOf(configOf(all...))
}

func (w *world) makeOf(cfg *config.Config) *Poller {
	w.Helper()
	p, err := New(Options{
		Config: cfg, Board: w.fakeBoard, Clock: w.clock.Clock, StateDirectory: w.dir,
		Log: slog.New(slog.NewTextHandler(w, nil)),
		Publish: func(s *sensors.Snapshot) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.shots = append(w.shots, s)
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.poll = p
	return p
}

// run makes the poller, starts it, and returns when the first wake waits or
// has ended.
func (w *world) run(all ...*config.Sensor) {
	w.Helper()
	w.make(all...)
	w.begin()
}

func (w *world) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop, w.ended = cancel, make(chan error, 1)
	p := w.poll
	go func() { w.ended <- p.Run(ctx) }()
	synctest.Wait()
}

// end stops the poller, letting pass what time it takes, and returns how long.
func (w *world) end() time.Duration {
	w.Helper()
	from := w.clock.Now()
	w.stop()
	w.stop = nil
	synctest.Wait()
	for {
		select {
		case err := <-w.ended:
			if err != nil {
				w.Errorf("Run: %v", err)
			}
			return w.clock.Now().Sub(from)
		default:
			next, ok := w.clock.Next()
			if !ok {
				w.Fatal("the poller doesn't end, and waits for nothing")
			}
			w.clock.Advance(next.Sub(w.clock.Now()))
			synctest.Wait()
		}
	}
}

// pass lets time pass, everybody doing what is to be done at each moment.
func (w *world) pass(d time.Duration) {
	end := w.clock.Now().Add(d)
	for {
		synctest.Wait()
		next, ok := w.clock.Next()
		if !ok || next.After(end) {
			break
		}
		w.clock.Advance(next.Sub(w.clock.Now()))
	}
	w.clock.Advance(end.Sub(w.clock.Now()))
	synctest.Wait()
}

// shot is the latest snapshot.
func (w *world) shot() *sensors.Snapshot {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.shots) == 0 {
		w.Fatal("nothing was published")
	}
	return w.shots[len(w.shots)-1]
}

func (w *world) published() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.shots)
}

func (w *world) result(name string) *sensors.Result {
	w.Helper()
	return find(w.T, w.shot(), name)
}

func find(t *testing.T, s *sensors.Snapshot, name string) *sensors.Result {
	t.Helper()
	for i := range s.Results {
		if s.Results[i].Name == name {
			return &s.Results[i]
		}
	}
	t.Fatalf("no result of %s", name)
	return nil
}

// want checks a sensor's readings by their values, or, with none, that it is
// down.
func (w *world) want(name string, values ...float64) {
	w.Helper()
	r := w.result(name)
	var got []float64
	for _, reading := range r.Readings {
		got = append(got, reading.Value)
	}
	if !slices.Equal(got, values) || r.Up != (len(values) > 0) {
		w.Errorf("%s: up %v with %v (%v), want %v", name, r.Up, got, r.Err, values)
	}
}

func (w *world) wantDown(name string, reason sensors.Reason, words ...string) {
	w.Helper()
	r := w.result(name)
	if r.Up || len(r.Readings) > 0 || r.Reason != reason || r.Err == nil {
		w.Errorf("%s: up %v with %v, reason %q, error %v; want it down by %s", name, r.Up, r.Readings, r.Reason, r.Err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(r.Err.Error(), word) {
			w.Errorf("%s: error %q says nothing of %q", name, r.Err, word)
		}
	}
}

// A fake is a sensor that does as the test says, and notes what is done to it.
type fake struct {
	w     *world
	name  string
	cfg   *config.Sensor
	sense func(ctx context.Context, e sensors.Env, r *sensors.Report) error
	build func(ctx context.Context, e sensors.Env) error

	mu     sync.Mutex
	builds int
	reads  []time.Duration // when, since boot
	closed int

	changed, lost bool   // of one that is watched
	takes         string // of one that holds a line: the option that may change
}

// fakeSensor is one object of a fake.
type fakeSensor struct {
	f *fake
	e sensors.Env
}

func (s *fakeSensor) Sense(ctx context.Context, r *sensors.Report) error {
	s.f.mu.Lock()
	s.f.reads = append(s.f.reads, s.e.Now().Sub(boot))
	s.f.mu.Unlock()
	return s.f.sense(ctx, s.e, r)
}

// heldSensor is one that holds a line and keeps a count.
type heldSensor struct {
	fakeSensor
	line  sensors.Line
	count byte
}

// Reconfigure says whether another option of the fake is one that it can take.
func (s *heldSensor) Reconfigure(o *sensors.Options) bool {
	return s.f.takes != "" && s.e.Options().EqualValue(o, "pin") && o.Given(s.f.takes)
}

func (s *heldSensor) Sense(ctx context.Context, r *sensors.Report) error {
	if err := s.fakeSensor.Sense(ctx, r); err != nil {
		return err
	}
	s.count++
	r.Set(sensors.Pulses, float64(s.count))
	return nil
}
func (s *heldSensor) Close() error {
	s.f.closed++
	return s.line.Close()
}
func (s *heldSensor) State() ([]byte, error) { return []byte{s.count}, nil }
func (s *heldSensor) Restore(b []byte) error {
	if len(b) != 1 {
		return errors.New("one byte is meant")
	}
	s.count = b[0]
	return nil
}

func (f *fake) moments() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reads)
}

// since is when f was read in the time after a moment, counted from it.
func (f *fake) after(at alarm.Instant) []time.Duration {
	var after []time.Duration
	for _, m := range f.moments() {
		if d := m - at.Sub(boot); d > 0 {
			after = append(after, d)
		}
	}
	return after
}

var addrOption = sensors.Option{Name: "addr", Type: sensors.I2CAddrOption, Help: "address"}

// sensor makes a fake that reports 1 °C, every minute.
func (w *world) sensor(name string, change ...func(*fake)) *fake {
	w.Helper()
	f := &fake{w: w, name: name}
	f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
		r.Set(sensors.Temperature, 1)
		return nil
	}
	d := &sensors.Driver{Name: "fake", New: func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
		f.mu.Lock()
		f.builds++
		f.mu.Unlock()
		if f.build != nil {
			if err := f.build(ctx, e); err != nil {
				return nil, err
			}
		}
		return &fakeSensor{f, e}, nil
	}}
	f.cfg = &config.Sensor{Name: name, Driver: d, Options: w.options(d, nil), Timeout: time.Second,
		Schedule: config.Schedule{Every: time.Minute}, Origin: config.Origin{File: "test.yml", Line: 1}}
	for _, c := range change {
		c(f)
	}
	return f
}

func (w *world) options(d *sensors.Driver, texts map[string]string) *sensors.Options {
	w.Helper()
	o, err := sensors.NewOptions(d, texts)
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// on puts a fake on an I2C bus.
func on(bus int, addr string) func(*fake) {
	return func(f *fake) {
		f.cfg.Driver.Options = append(f.cfg.Driver.Options, sensors.BusOpt(), addrOption)
		f.cfg.Options = f.w.options(f.cfg.Driver, map[string]string{"bus": fmt.Sprint(bus), "addr": addr})
	}
}

// holding makes a fake keep a line between polls.
func holding(line string) func(*fake) {
	return func(f *fake) {
		f.sense = func(context.Context, sensors.Env, *sensors.Report) error { return nil }
		f.cfg.Driver.Options = append(f.cfg.Driver.Options, sensors.Option{Name: "pin", Type: sensors.LineOption, Help: "line"})
		f.cfg.Options = f.w.options(f.cfg.Driver, map[string]string{"pin": line})
		f.cfg.Driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
			f.builds++
			l, err := e.Line("pin", sensors.LineConfig{})
			if err != nil {
				return nil, err
			}
			return &heldSensor{fakeSensor: fakeSensor{f, e}, line: l}, nil
		}
	}
}

// referring makes a fake name another sensor.
func referring(to string) func(*fake) {
	return func(f *fake) {
		f.cfg.Driver.Options = append(f.cfg.Driver.Options, sensors.Option{Name: "other", Type: sensors.SensorRefOption, Help: "other"})
		f.cfg.Options = f.w.options(f.cfg.Driver, map[string]string{"other": to})
	}
}

func every(d time.Duration) func(*fake) {
	return func(f *fake) { f.cfg.Schedule = config.Schedule{Every: d} }
}

func at(expr string) func(*fake) {
	return func(f *fake) { f.cfg.Schedule = config.Schedule{At: cron(expr)} }
}

// cron parses an expression that is right.
func cron(expr string) *config.Cron {
	c, err := config.ParseCron(expr)
	if err != nil {
		panic(err)
	}
	return c
}

// moved is what jitter does on some machine.
func moved(d time.Duration) func(*fake) {
	return func(f *fake) { f.cfg.Schedule.Jitter, f.cfg.Schedule.Moved = 2*d, d }
}

func retries(n int) func(*fake) { return func(f *fake) { f.cfg.Retries = n } }

func powered(r *config.Rail, warmup time.Duration) func(*fake) {
	return func(f *fake) { f.cfg.Power, f.cfg.Rail, f.cfg.Warmup = r.Name, r, warmup }
}

// converting makes a fake write, wait for a conversion, and read.
func converting(d time.Duration) func(*fake) {
	return func(f *fake) {
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			if err := e.I2C().Tx([]byte{1}, nil); err != nil {
				return err
			}
			if err := e.Sleep(ctx, d); err != nil {
				return err
			}
			b := make([]byte, 1)
			if err := e.I2C().Tx(nil, b); err != nil {
				return err
			}
			r.Set(sensors.Temperature, float64(b[0]))
			return nil
		}
	}
}

// A fakeBoard's buses answer as tx says.
type fakeBoard struct {
	mu       sync.Mutex
	tx       func(bus sensors.Bus, addr uint16, w, r []byte) error
	opened   map[sensors.Bus]int
	closed   map[sensors.Bus]int
	locks    map[sensors.Bus]chan struct{}
	lines    map[string]int // in use
	now      func() alarm.Instant
	edges    map[string]chan error // of lines that are waited for: what WaitEdge returns
	driven   []string              // when, since boot, which output became what
	locked   map[sensors.Claim]bool
	unlocked int
	frozen   chan struct{} // not nil: lines answer when it is closed
	ports    *atomic.Int32 // serial ports that are open; nil: there is none
}

func (b *fakeBoard) note(format string, args ...any) {
	b.driven = append(b.driven, b.now().Sub(boot).String()+" "+fmt.Sprintf(format, args...))
}

func newFakeBoard() *fakeBoard {
	return &fakeBoard{locked: map[sensors.Claim]bool{}, opened: map[sensors.Bus]int{}, closed: map[sensors.Bus]int{}, locks: map[sensors.Bus]chan struct{}{}, lines: map[string]int{}, edges: map[string]chan error{},
		tx: func(bus sensors.Bus, addr uint16, w, r []byte) error {
			for i := range r {
				r[i] = byte(addr)
			}
			return nil
		}}
}

func (b *fakeBoard) Model() string        { return "a board of the tests" }
func (b *fakeBoard) Files() sensors.Files { return nil }

// A fakePort is a serial port on which nothing comes.
type fakePort struct {
	board  *fakeBoard
	closed bool
}

func (b *fakeBoard) Open(c sensors.Claim, config any) (io.Closer, error) {
	if b.ports == nil {
		return nil, sensors.Errorf(sensors.NoAnswer, "there is no %s", c)
	}
	b.ports.Add(1)
	return &fakePort{board: b}, nil
}

func (p *fakePort) Read(ctx context.Context, data []byte) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}
func (p *fakePort) Write(context.Context, []byte) error { return nil }
func (p *fakePort) Discard() error                      { return nil }
func (p *fakePort) Close() error {
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	p.board.ports.Add(-1)
	return nil
}

type fakeLock struct {
	board *fakeBoard
	key   sensors.Claim
}

func (l *fakeLock) Close() error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	delete(l.board.locked, l.key)
	l.board.unlocked++
	return nil
}

func (b *fakeBoard) Lock(c sensors.Claim) (io.Closer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := sensors.Claim{Kind: c.Kind, Bus: c.Bus, Address: c.Address}
	if b.locked[key] {
		return nil, fmt.Errorf("lock %s: %w", c, lock.ErrLocked)
	}
	b.locked[key] = true
	return &fakeLock{b, key}, nil
}

func (b *fakeBoard) OpenBus(n sensors.Bus) (i2c.BusCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened[n]++
	if b.locks[n] == nil {
		b.locks[n] = make(chan struct{}, 1)
	}
	return &fakeBus{b, n, b.locks[n]}, nil
}

func (b *fakeBoard) OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines[ref.Key()] > 0 {
		return nil, sensors.Errorf(sensors.Busy, "%s is in use", ref)
	}
	b.lines[ref.Key()]++
	if c.Output {
		b.note("%s %v", ref.Key(), c.Active)
	}
	return &fakeLine{b: b, key: ref.Key()}, nil
}

// open is how many handles of a bus are open.
func (b *fakeBoard) open(n sensors.Bus) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened[n] - b.closed[n]
}

type fakeBus struct {
	b    *fakeBoard
	n    sensors.Bus
	lock chan struct{}
}

func (b *fakeBus) String() string                  { return b.n.String() }
func (b *fakeBus) SetSpeed(physic.Frequency) error { return nil }
func (b *fakeBus) Close() error {
	b.b.mu.Lock()
	defer b.b.mu.Unlock()
	b.b.closed[b.n]++
	return nil
}
func (b *fakeBus) Tx(addr uint16, w, r []byte) error {
	b.lock <- struct{}{}
	defer func() { <-b.lock }()
	return b.b.tx(b.n, addr, w, r)
}

type fakeLine struct {
	sensors.Line
	b   *fakeBoard
	key string
}

func (l *fakeLine) SetActive(active bool) error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.b.note("%s %v", l.key, active)
	return nil
}

func (l *fakeLine) WaitEdge(ctx context.Context) error {
	l.b.mu.Lock()
	if l.b.edges[l.key] == nil {
		l.b.edges[l.key] = make(chan error)
	}
	edges := l.b.edges[l.key]
	l.b.mu.Unlock()
	select {
	case err := <-edges:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// edge gives an edge to who waits for it, and tells whether anybody does.
func (b *fakeBoard) edge(key string, err error) bool {
	synctest.Wait()
	b.mu.Lock()
	edges := b.edges[key]
	b.mu.Unlock()
	select {
	case edges <- err:
		synctest.Wait()
		return true
	default:
		return false
	}
}

func (l *fakeLine) Active() (bool, error) {
	if l.b.frozen != nil {
		<-l.b.frozen
	}
	return true, nil
}
func (l *fakeLine) Close() error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.b.lines[l.key]--
	return nil
}

// inUse is how often a line is in use.
func (b *fakeBoard) inUse(key string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines[key]
}
