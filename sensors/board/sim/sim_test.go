package sim

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ board.Inspector = (*Board)(nil)

func newBoard(t testing.TB) (*Board, *alarm.Fake) {
	t.Helper()
	clock := alarm.NewFake(alarm.Instant(10*time.Hour), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	b := New(clock, 1)
	clock.Advance(time.Minute)
	return b, clock
}

func openBus(t testing.TB, b *Board) i2c.BusCloser {
	t.Helper()
	bus, err := b.OpenBus(1)
	check(t, err)
	return bus
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tx writes w and reads n bytes.
func tx(t testing.TB, bus i2c.Bus, addr uint16, n int, w ...byte) []byte {
	t.Helper()
	r := make([]byte, n)
	check(t, bus.Tx(addr, w, r))
	return r
}

func noAnswer(t testing.TB, bus i2c.Bus, addr uint16, n int, w ...byte) {
	t.Helper()
	err := bus.Tx(addr, w, make([]byte, n))
	if sensors.ReasonOf(err) != sensors.NoAnswer || !errors.Is(err, unix.EREMOTEIO) {
		t.Fatalf("% x at %#x: got %v, want no answer", w, addr, err)
	}
}

func exactly(v Values) func(sensors.Instant) Values {
	return func(sensors.Instant) Values { return v }
}

func TestBus(t *testing.T) {
	b, _ := newBoard(t)
	if _, err := b.OpenBus(3); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "buses here: 1") {
		t.Errorf("another bus: %v", err)
	}
	if buses, err := b.Buses(); err != nil || !slices.Equal(buses, []sensors.Bus{1}) {
		t.Errorf("Buses() = %v, %v", buses, err)
	}
	bus := openBus(t, b)
	noAnswer(t, bus, 0x77, 1, 0)
	if err := bus.Tx(BME280, nil, nil); err == nil {
		t.Error("an empty transaction has passed")
	}
	if err := bus.SetSpeed(1); err == nil {
		t.Error("the speed was set")
	}
	check(t, bus.Close())
	if err := bus.Tx(BME280, []byte{0xd0}, make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("after Close: %v", err)
	}
	if err := bus.Close(); !errors.Is(err, unix.EBADF) {
		t.Errorf("second Close: %v", err)
	}
}

func TestFaults(t *testing.T) {
	b, clock := newBoard(t)
	bus := openBus(t, b)
	measure := []byte{1, 0xe1, 0xa0}
	check(t, bus.Tx(TMP102, measure, nil))
	clock.Advance(time.Second)
	good := tx(t, bus, TMP102, 2, 0)

	b.SetFault(TMP102, Fault{Errno: unix.ETIMEDOUT})
	if err := bus.Tx(TMP102, []byte{0}, make([]byte, 2)); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("got %v, want ETIMEDOUT", err)
	}
	b.SetFault(TMP102, Fault{Corrupt: true})
	if got := tx(t, bus, TMP102, 2, 0); got[0] != good[0] || got[1] != good[1]^1 {
		t.Errorf("corrupt: % x of % x", got, good)
	}
	b.SetFault(TMP102, Fault{Stuck: true, Level: 0xff})
	if got := tx(t, bus, TMP102, 2, 0); string(got) != "\xff\xff" {
		t.Errorf("stuck chip: % x", got)
	}
	b.SetFault(TMP102, Fault{})
	if got := tx(t, bus, TMP102, 2, 0); !slices.Equal(got, good) {
		t.Errorf("mended: % x", got)
	}

	for _, level := range []byte{0x00, 0xff} {
		b.Stick(level)
		err := bus.Tx(TMP102, []byte{0}, make([]byte, 2))
		if sensors.ReasonOf(err) != sensors.Identity || !strings.Contains(err.Error(), "I2C bus 1 is stuck") {
			t.Errorf("stuck bus: %v", err)
		}
	}
	b.Unstick()

	b.Remove(TMP102)
	noAnswer(t, bus, TMP102, 2, 0)
	b.Insert(TMP102)
	if got := tx(t, bus, TMP102, 2, 1); string(got) != "\x60\xa0" {
		t.Errorf("put back, it still knows % x", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a chip that isn't there")
		}
	}()
	b.Remove(0x77)
}

func TestSuppliedChip(t *testing.T) {
	for _, activeLow := range []bool{false, true} {
		b, _ := newBoard(t)
		b.Power(TMP102, 17, activeLow)
		bus := openBus(t, b)
		noAnswer(t, bus, TMP102, 2, 1)
		l := openLine(t, b, "GPIO17", sensors.LineConfig{Output: true, Active: true, ActiveLow: activeLow})
		if high, driven := b.Output(17); high == activeLow || !driven {
			t.Errorf("output %t, %t", high, driven)
		}
		check(t, bus.Tx(TMP102, []byte{1, 0x61, 0xa0}, nil))
		check(t, l.SetActive(false))
		noAnswer(t, bus, TMP102, 2, 1)
		check(t, l.SetActive(true))
		if got := tx(t, bus, TMP102, 2, 1); string(got) != "\x60\xa0" {
			t.Errorf("powered up again, it still knows % x", got)
		}
		check(t, l.Close())
		noAnswer(t, bus, TMP102, 2, 1)
		if _, driven := b.Output(17); driven {
			t.Error("driven by nobody")
		}
	}
}

// The same seed gives the same world, another seed another, and it moves
// slowly within what is plausible.
func TestWorld(t *testing.T) {
	a, b, other := world{1}, world{1}, world{2}
	differs := false
	for at := sensors.Instant(0); at < sensors.Instant(3*24*time.Hour); at = at.Add(time.Minute) {
		v := a.at(at)
		if v != b.at(at) {
			t.Fatalf("at %d the same seed differs", at)
		}
		differs = differs || v != other.at(at)
		in := func(name string, v, low, high float64) {
			if v < low || v > high {
				t.Errorf("%s is %v", name, v)
			}
		}
		in("greenhouse", v.GreenhouseTemperature, 12, 26)
		in("greenhouse's humidity", v.GreenhouseHumidity, 48, 83)
		in("pressure", v.Pressure, 100000, 102500)
		in("office", v.OfficeTemperature, 19, 24)
		in("office's humidity", v.OfficeHumidity, 36, 52)
		in("cellar", v.CellarTemperature, 8, 12)
		in("pond", v.PondTemperature, 9, 13)
		in("processor", v.ProcessorTemperature, 40, 60)
		for i, volts := range v.Inputs {
			in("input", volts, 0, 3.3)
			if next := a.at(at.Add(time.Second)).Inputs[i]; math.Abs(next-volts) > 0.02 {
				t.Errorf("input %d jumps from %v to %v in a second", i, volts, next)
			}
		}
		if next := a.at(at.Add(time.Second)).GreenhouseTemperature; math.Abs(next-v.GreenhouseTemperature) > 0.02 {
			t.Errorf("the greenhouse jumps to %v", next)
		}
	}
	if !differs {
		t.Error("the seed decides nothing")
	}
}

func openLine(t testing.TB, b *Board, name string, c sensors.LineConfig) sensors.Line {
	t.Helper()
	ref, err := sensors.ParseLine(name)
	check(t, err)
	l, err := b.OpenLine(ref, c, "test")
	check(t, err)
	return l
}

func TestLines(t *testing.T) {
	b, _ := newBoard(t)
	ref := func(s string) sensors.LineRef {
		r, err := sensors.ParseLine(s)
		check(t, err)
		return r
	}
	held := openLine(t, b, "GPIO17", sensors.LineConfig{})
	b.Hold(18, "fan")
	for _, tt := range []struct {
		line  string
		c     sensors.LineConfig
		errno unix.Errno
		want  string
	}{
		{"BOARD11", sensors.LineConfig{}, unix.EBUSY, `GPIO17 (pin 11) is held by "test"`},
		{"gpiochip0:17", sensors.LineConfig{}, unix.EBUSY, `is held by "test"`},
		{"pinctrl-bcm2835:18", sensors.LineConfig{}, unix.EBUSY, `is held by "fan"`},
		{"GPIO2", sensors.LineConfig{}, unix.EBUSY, `GPIO2 (pin 3) is SDA of I2C bus 1 at present`},
		{"BOARD8", sensors.LineConfig{}, unix.EBUSY, `GPIO14 (pin 8) is TXD of the serial port at present`},
		{"ID_SCL", sensors.LineConfig{}, unix.EPERM, "GPIO2 to GPIO27 can be wired"},
		{"GPIO28", sensors.LineConfig{}, unix.EPERM, "GPIO2 to GPIO27 can be wired"},
		{"GPIO54", sensors.LineConfig{}, 0, "54 lines, 0 to 53"},
		{"gpiochip1:3", sensors.LineConfig{}, 0, "no chip gpiochip1"},
		{"LED", sensors.LineConfig{}, 0, "no line has the name LED"},
		{"GPIO5", sensors.LineConfig{Output: true, Edges: sensors.BothEdges}, 0, "an output has no edges"},
	} {
		_, err := b.OpenLine(ref(tt.line), tt.c, "x")
		if err == nil || !strings.Contains(err.Error(), tt.want) || tt.errno != 0 && !errors.Is(err, tt.errno) {
			t.Errorf("%s: got %v, want %q", tt.line, err, tt.want)
		}
	}
	info, err := b.LineInfo(ref("GPIO17"))
	if want := (board.LineInfo{Chip: "gpiochip0 (pinctrl-bcm2835)", Offset: 17, Name: "GPIO17", Held: true, Consumer: "test"}); err != nil || info != want {
		t.Errorf("LineInfo = %+v, %v", info, err)
	}
	if _, err := b.LineInfo(ref("GPIO55")); err == nil {
		t.Error("LineInfo of no line")
	}
	if err := held.SetActive(true); err == nil || !strings.Contains(err.Error(), "is an input") {
		t.Errorf("an input was driven: %v", err)
	}
	check(t, held.Close())
	for name, err := range map[string]error{"Close": held.Close(), "SetActive": held.SetActive(true), "WaitEdge": held.WaitEdge(t.Context())} {
		if !errors.Is(err, unix.EBADF) {
			t.Errorf("%s of a closed line: %v", name, err)
		}
	}
	b.Release(18)
	out := openLine(t, b, "18", sensors.LineConfig{Output: true})
	b.LoseLines(true)
	if _, err := out.Active(); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("a lost line: %v", err)
	}
	if _, err := out.Edges(nil); !errors.Is(err, unix.ENODEV) {
		t.Errorf("edges of a lost line: %v", err)
	}
	if _, err := b.OpenLine(ref("18"), sensors.LineConfig{}, "x"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("open without a header: %v", err)
	}
	b.LoseLines(false)
	check(t, out.Close())
	check(t, openLine(t, b, "18", sensors.LineConfig{}).Close())
}

func TestInputFollowsItsPull(t *testing.T) {
	b, _ := newBoard(t)
	for _, tt := range []struct {
		bias      sensors.Bias
		activeLow bool
		want      bool
	}{
		{sensors.PullUp, false, true}, {sensors.PullUp, true, false},
		{sensors.PullDown, false, false}, {sensors.PullDown, true, true},
	} {
		l := openLine(t, b, "GPIO5", sensors.LineConfig{Bias: tt.bias, ActiveLow: tt.activeLow})
		if got, err := l.Active(); err != nil || got != tt.want {
			t.Errorf("%+v: %t, %v", tt, got, err)
		}
		check(t, l.Close())
	}
}

func TestEdgesBySetInput(t *testing.T) {
	b, clock := newBoard(t)
	l := openLine(t, b, "GPIO5", sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: true, Edges: sensors.RisingEdge})
	for range 20 {
		b.SetInput(5, false)
		b.SetInput(5, false) // no change, no edge
		clock.Advance(time.Second)
		b.SetInput(5, true)
	}
	edges, err := l.Edges(nil)
	check(t, err)
	if len(edges) != 16 || edges[0].Seq != 5 || edges[15].Seq != 20 || !edges[15].Active || edges[15].At != clock.Now().Add(-time.Second) {
		t.Errorf("got %d edges: %+v", len(edges), edges)
	}
	if again, err := l.Edges(edges[:0]); err != nil || len(again) != 0 {
		t.Errorf("drained twice: %+v, %v", again, err)
	}
	check(t, l.Close())
}

// What the script did between two looks is the same however often one looks.
func TestScriptedEdges(t *testing.T) {
	for _, line := range []struct {
		bcm  string
		span time.Duration // not more edges than a buffer of 1024 keeps
	}{{"GPIO22", 40 * time.Minute}, {"GPIO23", time.Hour}, {"GPIO24", 20 * time.Minute}, {"GPIO25", 10 * time.Minute}, {"GPIO16", 10 * time.Hour}, {"GPIO26", time.Minute}, {"GPIO27", time.Hour}} {
		config := sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: line.bcm != "GPIO23", Edges: sensors.BothEdges, Buffer: 1024}
		var often, once []sensors.Edge
		for _, steps := range []int{1, 60} {
			b, clock := newBoard(t)
			l := openLine(t, b, line.bcm, config)
			begin := clock.Now()
			active, err := l.Active()
			check(t, err)
			var edges []sensors.Edge
			for range steps {
				clock.Advance(line.span / time.Duration(steps))
				edges, err = l.Edges(edges)
				check(t, err)
				now, err := l.Active()
				check(t, err)
				if n := len(edges); n > 0 && edges[n-1].Active != now {
					t.Fatalf("%s: the level isn't that of the last edge", line.bcm)
				}
			}
			last := begin
			for i, e := range edges {
				if e.Seq != uint32(i+1) || !e.At.After(last) || e.At.After(clock.Now()) || e.Active == active {
					t.Fatalf("%s: edge %d is %+v", line.bcm, i, e)
				}
				last, active = e.At, e.Active
			}
			if steps == 1 {
				once = edges
			} else {
				often = edges
			}
			check(t, l.Close())
		}
		if len(once) < 4 || !slices.Equal(once, often) {
			t.Errorf("%s: %d edges in one look, %d in many", line.bcm, len(once), len(often))
		}
	}
}

func TestPulsesAreCountedBeyondTheBuffer(t *testing.T) {
	config := sensors.LineConfig{ActiveLow: true, Edges: sensors.RisingEdge}
	b, clock := newBoard(t)
	all := config
	all.Buffer = 1024
	l := openLine(t, b, "GPIO26", all)
	clock.Advance(time.Minute)
	every, err := l.Edges(nil)
	check(t, err)
	check(t, l.Close())

	b, clock = newBoard(t)
	l = openLine(t, b, "GPIO26", config)
	clock.Advance(time.Minute)
	latest, err := l.Edges(nil)
	check(t, err)
	if n := len(every); n < 100 || !slices.Equal(latest, every[n-16:]) {
		t.Errorf("%d edges, the latest %d aren't the last 16", n, len(latest))
	}
	check(t, l.Close())

	b, clock = newBoard(t)
	config.Debounce = 20 * time.Millisecond // longer than the pulses
	l = openLine(t, b, "GPIO26", config)
	clock.Advance(time.Minute)
	if edges, err := l.Edges(nil); err != nil || len(edges) != 0 {
		t.Errorf("debounced: %d edges, %v", len(edges), err)
	}
	check(t, l.Close())
}

func TestWaitEdge(t *testing.T) {
	b, clock := newBoard(t)
	l := openLine(t, b, "GPIO27", sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: true, Edges: sensors.BothEdges})
	done := make(chan error)
	wait := func(ctx context.Context) { done <- l.WaitEdge(ctx) }

	go wait(t.Context())
	for clock.Now() < sensors.Instant(20*time.Hour) {
		next, ok := clock.Next()
		if !ok {
			select {
			case err := <-done:
				check(t, err)
			default:
				continue
			}
			break
		}
		clock.Advance(next.Sub(clock.Now()))
	}
	edges, err := l.Edges(nil)
	check(t, err)
	if len(edges) != 1 || edges[0].At != clock.Now() {
		t.Fatalf("woke at %d for %+v", clock.Now(), edges)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go wait(ctx)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	active, err := l.Active()
	check(t, err)
	go wait(t.Context())
	awaitSleeper(clock)
	b.SetInput(27, active) // active-low: the other level
	check(t, <-done)
	if edges, err = l.Edges(edges[:0]); err != nil || len(edges) != 1 {
		t.Errorf("after SetInput: %+v, %v", edges, err)
	}

	go wait(t.Context())
	awaitSleeper(clock)
	check(t, l.Close())
	if err := <-done; !errors.Is(err, unix.EBADF) {
		t.Errorf("closed meanwhile: %v", err)
	}
}

func awaitSleeper(clock *alarm.Fake) {
	for {
		if _, ok := clock.Next(); ok {
			return
		}
	}
}

// A loose contact is open at the end of each period.
func TestLooseContact(t *testing.T) {
	b, clock := newBoard(t)
	b.Loosen(TMP102, 2*time.Minute, 30*time.Second)
	bus := openBus(t, b)
	for _, answers := range []bool{true, false, true, true, true, false, true} { // from one minute on
		if err := bus.Tx(TMP102, []byte{0}, make([]byte, 2)); (err == nil) != answers {
			t.Errorf("at %v: %v", clock.Now().Sub(b.start), err)
		}
		clock.Advance(30 * time.Second)
	}
}
