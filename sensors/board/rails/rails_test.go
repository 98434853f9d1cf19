package rails

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
)

// recorder is a board of outputs that writes down what happens to them.
type recorder struct {
	mu       sync.Mutex
	log      []string
	on       map[string]bool
	openErr  error
	driveErr error
}

func (b *recorder) Model() string                              { return "recorder" }
func (b *recorder) Files() sensors.Files                       { return nil }
func (b *recorder) OpenBus(sensors.Bus) (i2c.BusCloser, error) { return nil, errors.New("no bus") }
func (b *recorder) Open(sensors.Claim, any) (io.Closer, error) {
	return nil, errors.New("no wire")
}
func (b *recorder) Lock(sensors.Claim) (io.Closer, error) { return nil, errors.New("no lock") }
func (b *recorder) note(format string, args ...any) {
	b.log = append(b.log, fmt.Sprintf(format, args...))
}
func (b *recorder) isOn(line string) bool { b.mu.Lock(); defer b.mu.Unlock(); return b.on[line] }

func (b *recorder) OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openErr != nil {
		return nil, b.openErr
	}
	b.note("open %s active=%t low=%t by %q", ref.Key(), c.Output && c.Active, c.ActiveLow, consumer)
	b.on[ref.Key()] = true
	return &recordedLine{board: b, name: ref.Key()}, nil
}

type recordedLine struct {
	board *recorder
	name  string
}

func (l *recordedLine) Active() (bool, error) { return l.board.isOn(l.name), nil }
func (l *recordedLine) SetActive(active bool) error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	l.board.note("drive %s %t", l.name, active)
	l.board.on[l.name] = active
	return l.board.driveErr
}
func (l *recordedLine) Edges(buf []sensors.Edge) ([]sensors.Edge, error) { return buf, nil }
func (l *recordedLine) WaitEdge(context.Context) error                   { return nil }
func (l *recordedLine) Reconfigure(sensors.LineConfig) error {
	return errors.New("a rail is an output and stays one")
}
func (l *recordedLine) Close() error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	l.board.note("close %s", l.name)
	return nil
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	onLog  = `open GPIO17 active=true low=false by "dormouse garden"`
	offLog = "drive GPIO17 false"
	letGo  = "close GPIO17"
)

func newRecorder() *recorder { return &recorder{on: map[string]bool{}} }

func testRails(t testing.TB, b board.Board, c board.Clock) *Rails {
	t.Helper()
	garden, err := sensors.ParseLine("GPIO17")
	if err != nil {
		t.Fatal(err)
	}
	shed, err := sensors.ParseLine("BOARD13")
	if err != nil {
		t.Fatal(err)
	}
	return New([]*sensors.Rail{
		{Name: "garden", Line: garden, Settle: 10 * time.Millisecond},
		{Name: "shed", Line: shed, ActiveLow: true},
	}, b, c)
}

func fakeClock() *alarm.Fake {
	return alarm.NewFake(alarm.Instant(time.Hour), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRailRisesWarmsUpAndFalls(t *testing.T) {
	b, clock := newRecorder(), fakeClock()
	rails := testRails(t, b, clock)
	up := make(chan error)
	go func() { up <- rails.Up(t.Context(), "garden", 50*time.Millisecond) }()
	clock.Await(clock.Now().Add(50 * time.Millisecond))
	if !b.isOn("GPIO17") {
		t.Error("not on while it warms up")
	}
	clock.Advance(50 * time.Millisecond)
	check(t, <-up)
	clock.Advance(time.Second)
	want := []sensors.Wire{
		{Kind: "rail", Name: "garden", Where: "GPIO17 (pin 11)", Active: true, OnTime: 1050 * time.Millisecond},
		{Kind: "rail", Name: "shed", Where: "GPIO27 (pin 13)"},
	}
	if got := rails.Wires(); !slices.Equal(got, want) {
		t.Errorf("Wires() = %+v", got)
	}
	check(t, rails.Down("garden"))
	clock.Advance(time.Minute)
	if w := rails.Wires()[0]; w.Active || w.OnTime != 1050*time.Millisecond {
		t.Errorf("after Down: %+v", w)
	}
	if want := []string{onLog, offLog, letGo}; !slices.Equal(b.log, want) {
		t.Errorf("got %q, want %q", b.log, want)
	}
	check(t, rails.Down("garden")) // one too many
	check(t, rails.Up(t.Context(), "shed", 0))
	check(t, rails.AllDown())
	want2 := []string{`open GPIO27 active=true low=true by "dormouse shed"`, "drive GPIO27 false", "close GPIO27"}
	if !slices.Equal(b.log[3:], want2) {
		t.Errorf("got %q, want %q", b.log[3:], want2)
	}
}

func TestSettlingAndWarmup(t *testing.T) {
	for _, tt := range []struct{ warmup, want time.Duration }{
		{0, 10 * time.Millisecond},
		{4 * time.Millisecond, 10 * time.Millisecond},
		{70 * time.Millisecond, 70 * time.Millisecond},
	} {
		clock := fakeClock()
		rails := testRails(t, newRecorder(), clock)
		up := make(chan error)
		go func() { up <- rails.Up(t.Context(), "garden", tt.warmup) }()
		clock.Await(clock.Now().Add(tt.want))
		clock.Advance(tt.want)
		check(t, <-up)
	}
}

func TestRailIsShared(t *testing.T) {
	b, clock := newRecorder(), fakeClock()
	rails := testRails(t, b, clock)
	raised := clock.Now()
	first, second := make(chan error), make(chan error)
	go func() { first <- rails.Up(t.Context(), "garden", 50*time.Millisecond) }()
	clock.Await(raised.Add(50 * time.Millisecond))
	clock.Advance(20 * time.Millisecond)
	go func() { second <- rails.Up(t.Context(), "garden", 40*time.Millisecond) }()
	clock.Await(raised.Add(40 * time.Millisecond)) // the rest of it, from the power-up
	clock.Advance(20 * time.Millisecond)
	check(t, <-second)
	clock.Advance(10 * time.Millisecond)
	check(t, <-first)
	clock.Advance(time.Second)
	check(t, rails.Up(t.Context(), "garden", 50*time.Millisecond)) // long warm: no wait
	for range 2 {
		check(t, rails.Down("garden"))
		if !b.isOn("GPIO17") {
			t.Fatal("off while somebody uses it")
		}
	}
	check(t, rails.Down("garden"))
	if want := []string{onLog, offLog, letGo}; !slices.Equal(b.log, want) {
		t.Errorf("got %q, want %q", b.log, want)
	}
}

func TestRailCancelledWhileItWarmsUp(t *testing.T) {
	b, clock := newRecorder(), fakeClock()
	rails := testRails(t, b, clock)
	ctx, cancel := context.WithCancel(t.Context())
	up := make(chan error)
	go func() { up <- rails.Up(ctx, "garden", time.Minute) }()
	clock.Await(clock.Now().Add(time.Minute))
	cancel()
	if err := <-up; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if want := []string{onLog, offLog, letGo}; !slices.Equal(b.log, want) {
		t.Errorf("got %q, want %q", b.log, want)
	}
}

func TestRailLineIsHeld(t *testing.T) {
	b := newRecorder()
	rails := testRails(t, b, fakeClock())
	b.openErr = board.LineHeld(sensors.LineRef{BCM: 17}, "gpiochip0 line 17", "fan", unix.EBUSY)
	err := rails.Up(t.Context(), "garden", 0)
	if sensors.ReasonOf(err) != sensors.Busy || !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), `rail garden: switch on: line GPIO17 (pin 11) is held by "fan"`) {
		t.Errorf("got %v", err)
	}
	if w := rails.Wires()[0]; w.Active || len(b.log) != 0 {
		t.Errorf("something is on: %+v, %q", w, b.log)
	}
	check(t, rails.Down("garden")) // who has no hold pays nothing back
	b.openErr = nil
	check(t, rails.Up(t.Context(), "shed", 0))
}

// The line is released even if it can't be driven off, and that is an error.
func TestRailCannotBeDriven(t *testing.T) {
	b := newRecorder()
	rails := testRails(t, b, fakeClock())
	check(t, rails.Up(t.Context(), "shed", 0))
	b.driveErr = unix.ENODEV
	if err := rails.Down("shed"); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "rail shed: switch off") {
		t.Errorf("got %v, want ENODEV", err)
	}
	if last := b.log[len(b.log)-1]; last != "close GPIO27" {
		t.Errorf("the last was %q", last)
	}
	b.driveErr = nil
	check(t, rails.Up(t.Context(), "shed", 0))
	b.driveErr = unix.EIO
	if err := rails.AllDown(); !errors.Is(err, unix.EIO) {
		t.Errorf("AllDown: %v, want EIO", err)
	}
}

func TestUnknownRail(t *testing.T) {
	rails := testRails(t, newRecorder(), fakeClock())
	for _, err := range []error{rails.Up(t.Context(), "attic", 0), rails.Down("attic")} {
		if err == nil || !strings.Contains(err.Error(), "no rail attic") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAllDown(t *testing.T) {
	b, clock := newRecorder(), fakeClock()
	rails := testRails(t, b, clock)
	check(t, rails.Up(t.Context(), "shed", 0)) // 1, which is given up and pays late
	check(t, rails.AllDown())
	check(t, rails.AllDown())
	if b.isOn("GPIO27") {
		t.Error("on after AllDown")
	}
	check(t, rails.Up(t.Context(), "shed", 0)) // 2
	check(t, rails.Down("shed"))               // that of 1
	if !b.isOn("GPIO27") {
		t.Error("the late Down took the power from another user")
	}
	check(t, rails.Down("shed"))
	if b.isOn("GPIO27") {
		t.Error("on without users")
	}

	up := make(chan error)
	go func() { up <- rails.Up(t.Context(), "garden", time.Minute) }()
	clock.Await(clock.Now().Add(time.Minute))
	check(t, rails.AllDown())
	clock.Advance(time.Minute)
	if err := <-up; err == nil || !strings.Contains(err.Error(), "switched off while it warmed up") {
		t.Errorf("Up of a rail that is off: %v", err)
	}
}

type panickingClock struct{ *alarm.Fake }

func (panickingClock) SleepUntil(context.Context, alarm.Instant) error { panic("sleepless") }

func TestRailFallsInAPanic(t *testing.T) {
	b := newRecorder()
	rails := testRails(t, b, panickingClock{fakeClock()})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		t.Error(rails.Up(t.Context(), "garden", time.Minute))
	}()
	if want := []string{onLog, offLog, letGo}; !slices.Equal(b.log, want) {
		t.Errorf("got %q, want %q", b.log, want)
	}
}

// Whatever the order in which many users come and go, the rail is on for
// each, is taken by one request at a time, and is off at the end.
func TestRailWithManyUsers(t *testing.T) {
	b := newRecorder()
	rails := testRails(t, b, fakeClock())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 200 {
				if err := rails.Up(t.Context(), "shed", 0); err != nil {
					t.Error(err)
					return
				}
				if !b.isOn("GPIO27") {
					t.Error("up, yet off")
				}
				if err := rails.Down("shed"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if b.isOn("GPIO27") || len(b.log)%3 != 0 {
		t.Fatalf("on: %t, after %d steps", b.isOn("GPIO27"), len(b.log))
	}
	for i, step := range b.log {
		if want := []string{"open", "drive", "close"}[i%3]; !strings.HasPrefix(step, want) {
			t.Fatalf("step %d is %q, want %s", i, step, want)
		}
	}
}

// timed is a recorder whose notes begin with the time since it was made.
type timed struct {
	*recorder
	clock *alarm.Fake
	from  alarm.Instant
}

func (b *timed) OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	l, err := b.recorder.OpenLine(ref, c, consumer)
	if err != nil {
		return nil, err
	}
	b.stamp("%s %s", ref.Key(), map[bool]string{true: "on", false: "taken off"}[c.Active])
	return &timedLine{l, b, ref.Key()}, nil
}

func (b *timed) stamp(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, b.clock.Now().Sub(b.from).String()+" "+fmt.Sprintf(format, args...))
}

// what is noted of the time, without the recorder's own notes.
func (b *timed) what() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.log), func(s string) bool { return strings.HasPrefix(s, "open ") })
}

type timedLine struct {
	sensors.Line
	b   *timed
	key string
}

func (l *timedLine) SetActive(active bool) error {
	l.b.stamp("%s %v", l.key, active)
	return l.b.driveErr
}
func (l *timedLine) Close() error { return nil }

// chain is three rails: probes after boost after main, and boost and level
// beside each other.
func chain(t *testing.T, change ...func(map[string]*sensors.Rail)) (*timed, *Rails, *bytes.Buffer) {
	t.Helper()
	clock := fakeClock()
	t.Cleanup(func() { check(t, clock.Close()) })
	b := &timed{recorder: newRecorder(), clock: clock, from: clock.Now()}
	ms := time.Millisecond
	probes := &sensors.Rail{Name: "probes", Settle: 5 * ms, After: []string{"boost", "level"}}
	boost := &sensors.Rail{Name: "boost", Settle: 20 * ms, After: []string{"main"}}
	level := &sensors.Rail{Name: "level", After: []string{"main"}}
	main := &sensors.Rail{Name: "main", Settle: 100 * ms}
	configs := []*sensors.Rail{probes, boost, level, main}
	byName := map[string]*sensors.Rail{}
	for i, c := range configs {
		c.Line = sensors.LineRef{BCM: i}
		byName[c.Name] = c
	}
	for _, c := range change {
		c(byName)
	}
	rails := New(configs, b, clock)
	var log bytes.Buffer
	rails.Log = slog.New(slog.NewTextHandler(&log, nil))
	return b, rails, &log
}

// until lets time pass until it is done.
func (b *timed) until(t *testing.T, done chan error) error {
	t.Helper()
	for {
		synctest.Wait()
		select {
		case err := <-done:
			return err
		default:
		}
		next, ok := b.clock.Next()
		if !ok {
			t.Fatal("nobody waits, and it isn't done")
		}
		b.clock.Advance(next.Sub(b.clock.Now()))
	}
}

func (b *timed) raise(t *testing.T, rails *Rails, name string) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- rails.Up(context.Background(), name, 0) }()
	return b.until(t, done)
}

func TestRailsRiseAfterOthersAndFallBeforeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rails, _ := chain(t)
		check(t, b.raise(t, rails, "probes"))
		check(t, b.raise(t, rails, "level")) // one of its own, shared
		check(t, rails.Down("probes"))
		check(t, rails.Down("probes")) // one too many takes nothing from level
		b.stamp("probes are down")
		check(t, rails.Down("level"))
		want := []string{"0s GPIO3 on", "100ms GPIO1 on", "120ms GPIO2 on", "120ms GPIO0 on",
			"125ms GPIO0 false", "125ms GPIO1 false", "125ms probes are down", "125ms GPIO2 false", "125ms GPIO3 false"}
		if got := b.what(); !slices.Equal(got, want) {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
	})
}

func TestAllDownGoesBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rails, _ := chain(t)
		check(t, b.raise(t, rails, "probes"))
		check(t, rails.AllDown())
		want := []string{"125ms GPIO0 false", "125ms GPIO2 false", "125ms GPIO1 false", "125ms GPIO3 false"}
		if got := b.what()[4:]; !slices.Equal(got, want) {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
	})
}

func TestRailThatFailsTakesTheOthersDown(t *testing.T) {
	for _, when := range []string{"opening fails", "cancelled"} {
		synctest.Test(t, func(t *testing.T) {
			b, rails, _ := chain(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- rails.Up(ctx, "probes", 0) }()
			synctest.Wait()
			b.clock.Advance(100 * time.Millisecond) // main and boost are on
			synctest.Wait()
			want := unix.EBUSY
			if when == "cancelled" {
				cancel()
			} else {
				b.mu.Lock()
				b.openErr = want
				b.mu.Unlock()
			}
			err := b.until(t, done)
			if when == "cancelled" && !errors.Is(err, context.Canceled) || when != "cancelled" && !errors.Is(err, want) {
				t.Errorf("%s: %v", when, err)
			}
			if when != "cancelled" && !strings.HasPrefix(err.Error(), "rail probes comes after rail level: rail level: switch on: ") {
				t.Errorf("error %q doesn't name the rails", err)
			}
			for _, w := range rails.Wires() {
				if w.Active {
					t.Errorf("%s: rail %s is still on", when, w.Name)
				}
			}
			got := b.what()
			if n := len(got); !strings.HasSuffix(got[n-2], "GPIO1 false") || !strings.HasSuffix(got[n-1], "GPIO3 false") {
				t.Errorf("%s: they went down as %q", when, got)
			}
		})
	}
}

func TestRest(t *testing.T) {
	b := newRecorder()
	rails := testRails(t, b, fakeClock())
	check(t, rails.Up(t.Context(), "shed", 0))
	b.log = nil
	check(t, rails.Rest(func(string) bool { return false }))
	if want := []string{`open GPIO17 active=false low=false by "dormouse garden"`, letGo}; !slices.Equal(b.log, want) {
		t.Errorf("got %q, want %q: what is in use stays", b.log, want)
	}
	check(t, rails.AllDown())
	b.log = nil
	check(t, rails.Rest(func(name string) bool { return name == "garden" }))
	if want := []string{`open GPIO27 active=false low=true by "dormouse shed"`, "close GPIO27"}; !slices.Equal(b.log, want) {
		t.Errorf("got %q, want %q", b.log, want)
	}
	b.openErr = unix.EBUSY
	if err := rails.Rest(func(string) bool { return false }); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "rail garden") || !strings.Contains(err.Error(), "rail shed") {
		t.Errorf("got %v, want EBUSY of both", err)
	}
	if w := rails.Wires(); w[0].OnTime != 0 {
		t.Errorf("to rest is to be on: %+v", w)
	}
}

func TestRestLeavesAloneWhatIsAboutToBeRaised(t *testing.T) {
	b, rails, _ := chain(t)
	check(t, rails.Rest(func(name string) bool { return name == "boost" })) // and main before it
	if want := []string{"0s GPIO0 taken off", "0s GPIO2 taken off"}; !slices.Equal(b.what(), want) {
		t.Errorf("taken were %q, want %q", b.what(), want)
	}
}

func TestRailIsOnForItsTimeAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rails, log := chain(t, func(c map[string]*sensors.Rail) { c["boost"].MaxOn = time.Second })
		check(t, b.raise(t, rails, "probes"))
		reading, cancel := rails.While(context.Background(), "probes")
		defer cancel()
		other, cancelOther := rails.While(context.Background(), "level")
		defer cancelOther()
		b.clock.Advance(974 * time.Millisecond)
		synctest.Wait()
		if reading.Err() != nil {
			t.Fatalf("ended before its time: %v", context.Cause(reading))
		}
		b.clock.Advance(time.Millisecond)
		synctest.Wait()
		// What comes after the one goes first; what doesn't stays.
		want := []string{"1.1s GPIO0 false", "1.1s GPIO1 false"}
		if got := b.what()[4:]; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		why := context.Cause(reading)
		if sensors.ReasonOf(why) != sensors.Timeout || !strings.Contains(why.Error(), "rail boost was on for 1s, its max-on, and was switched off") {
			t.Errorf("the reading ended with %v", why)
		}
		if other.Err() != nil {
			t.Errorf("a rail that doesn't depend on it went off: %v", context.Cause(other))
		}
		if !strings.Contains(log.String(), "a rail was on for too long") || !strings.Contains(log.String(), "rail=boost") || !strings.Contains(log.String(), "max-on=1s") {
			t.Errorf("logged: %s", log.String())
		}
		if w := rails.Wires()[1]; w.Active || w.OnTime != time.Second {
			t.Errorf("boost is %+v", w)
		}

		// It stays off while those are there who used it.
		for _, name := range []string{"boost", "probes"} {
			if err := b.raise(t, rails, name); err == nil || !strings.Contains(err.Error(), "its max-on") {
				t.Errorf("Up(%s) of a rail that was cut off: %v", name, err)
			}
		}
		late, cancelLate := rails.While(context.Background(), "probes")
		defer cancelLate()
		synctest.Wait()
		if !strings.Contains(fmt.Sprint(context.Cause(late)), "its max-on") {
			t.Errorf("While of a rail that was cut off: %v", context.Cause(late))
		}
		check(t, rails.Down("probes"))
		check(t, b.raise(t, rails, "boost"))
		// A time of power that ended well limits no later one.
		b.clock.Advance(900 * time.Millisecond)
		check(t, rails.Down("boost"))
		check(t, b.raise(t, rails, "boost"))
		b.clock.Advance(900 * time.Millisecond)
		synctest.Wait()
		if w := rails.Wires()[1]; !w.Active {
			t.Error("the limit of the time before cut this one off")
		}
		check(t, rails.AllDown())
	})
}

func TestRailThatCantBeCutOffIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rails, log := chain(t, func(c map[string]*sensors.Rail) { c["main"].MaxOn = time.Second })
		check(t, b.raise(t, rails, "main"))
		b.driveErr = unix.EIO
		b.clock.Advance(time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), "can't switch a rail off") || !strings.Contains(log.String(), unix.EIO.Error()) {
			t.Errorf("logged: %s", log.String())
		}
	})
}
