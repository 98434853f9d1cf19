package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/pinmux"
	"golang.org/x/sys/unix"
)

// The header's chip is a BCM2835's as Linux shows it.
const (
	headerLines = 54
	headerChip  = "gpiochip0"
	headerLabel = "pinctrl-bcm2835"
	firstFree   = 2 // below is the EEPROM's bus
	lastFree    = 27
)

// pin is a line of the header.
type pin struct {
	line     *line  // nil: nobody holds it
	consumer string // of line, or of a stranger who holds it
	held     bool   // by a stranger
	gone     bool
	function pinmux.Function
	manual   bool // level was set by SetInput; the script is over
	level    bool
	wire     *wire // what answers in time; nil: nothing
}

// SetInput drives the line bcm from outside, from now on; whatever the script
// had in mind for it is over. It gives an edge if the level changes.
func (b *Board) SetInput(bcm int, high bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	p := &b.pins[bcm]
	l := p.line
	if l == nil || l.config.Output {
		p.manual, p.level = true, high
		return
	}
	l.catchUp(now)
	before := l.input(now)
	p.manual, p.level = true, high
	if before != high {
		l.record(now, high)
	}
	if l.interrupt != nil {
		l.interrupt()
	}
}

// Hold takes the line bcm for a stranger.
func (b *Board) Hold(bcm int, consumer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pins[bcm].held, b.pins[bcm].consumer = true, consumer
}

// Release ends that.
func (b *Board) Release(bcm int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pins[bcm].held = false
}

// LoseLines takes the header's chip away, or brings it back: lines that are
// held end in ENODEV for ever, others can't be found.
func (b *Board) LoseLines(lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.pins {
		b.pins[i].gone = lost
		if l := b.pins[i].line; l != nil && lost {
			l.gone = true
			b.pins[i].line = nil
			if l.interrupt != nil {
				l.interrupt()
			}
		}
	}
}

// Output tells whether the line bcm is driven as an output, and its level.
func (b *Board) Output(bcm int) (high, driven bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.pins[bcm].line
	if l == nil || !l.config.Output {
		return false, false
	}
	return l.level, true
}

// find is the offset of a line on the header's chip.
func (b *Board) find(ref sensors.LineRef) (int, error) {
	if b.pins[0].gone {
		return 0, sensors.Errorf(sensors.IO, "line %s: there is no /dev/gpiochip*: the simulated header was taken away: %w", ref, unix.ENOENT)
	}
	offset := -1
	switch {
	case ref.BCM >= 0:
		offset = ref.BCM
	case ref.Chip == headerChip || ref.Chip == headerLabel:
		offset = ref.Offset
	case ref.Chip != "":
		return 0, sensors.Errorf(sensors.IO, "line %s: there is no chip %s; chips here: %s (%s)", ref, ref.Chip, headerChip, headerLabel)
	default:
		for i := range headerLines {
			if lineName(i) == ref.Name {
				offset = i
			}
		}
		if offset < 0 {
			return 0, sensors.Errorf(sensors.IO, "no line has the name %s", ref)
		}
	}
	if offset >= headerLines {
		return 0, sensors.Errorf(sensors.IO, "there is no line %s: %s (%s) has %d lines, 0 to %d", ref, headerChip, headerLabel, headerLines, headerLines-1)
	}
	return offset, nil
}

// lineName is as in Raspberry Pi OS' device trees.
func lineName(offset int) string {
	switch {
	case offset == 0:
		return "ID_SDA"
	case offset == 1:
		return "ID_SCL"
	case offset <= lastFree:
		return fmt.Sprintf("GPIO%d", offset)
	}
	return ""
}

// LineInfo tells who holds a line.
func (b *Board) LineInfo(ref sensors.LineRef) (board.LineInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	offset, err := b.find(ref)
	if err != nil {
		return board.LineInfo{}, err
	}
	return b.lineInfo(offset), nil
}

// OpenLine takes one of the lines 2 to 27.
func (b *Board) OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	offset, err := b.find(ref)
	if err != nil {
		return nil, err
	}
	if c.Output && c.Edges != sensors.NoEdge {
		return nil, fmt.Errorf("line %s: an output has no edges", ref)
	}
	where := fmt.Sprintf("%s (%s) line %d", headerChip, headerLabel, offset)
	p := &b.pins[offset]
	switch {
	case !p.function.IsZero() && !c.Force:
		return nil, p.function.Refuse(ref)
	case offset < firstFree || offset > lastFree:
		return nil, sensors.Errorf(sensors.IO, "line %s: on the simulated board GPIO%d to GPIO%d can be wired: %w", ref, firstFree, lastFree, unix.EPERM)
	case p.held || p.line != nil:
		return nil, board.LineHeld(ref, where, p.consumer, unix.EBUSY)
	}
	now := b.clock.Now()
	l := &line{board: b, ref: ref, pin: p, bcm: offset, config: c, level: c.Active != c.ActiveLow, since: now}
	l.capacity = 16 // linux/gpio.h: the default for one line
	if c.Buffer > 0 {
		l.capacity = min(c.Buffer, 1024)
	}
	if s, ok := scripts[offset]; ok {
		l.script = &s
	}
	p.line, p.consumer, p.function = l, consumer, pinmux.Function{}
	b.driven(offset, now)
	return l, nil
}

// line is a held line.
type line struct {
	board  *Board
	ref    sensors.LineRef
	pin    *pin
	bcm    int
	config sensors.LineConfig
	script *script
	gone   bool
	closed bool

	level    bool            // of an output: high
	since    sensors.Instant // edges until then are recorded
	seq      uint32
	edges    []sensors.Edge // that the kernel would keep
	capacity int
	// interrupt lets WaitEdge look again; SetInput and Close call it.
	interrupt context.CancelFunc
}

// usable says why the line isn't.
func (l *line) usable() error {
	switch {
	case l.closed:
		return fmt.Errorf("line %s is closed: %w", l.ref, unix.EBADF)
	case l.gone:
		return sensors.Errorf(sensors.IO, "line %s went away: %s (%s) was removed: %w", l.ref, headerChip, headerLabel, unix.ENODEV)
	}
	return nil
}

// input is the line's level at a moment.
func (l *line) input(at sensors.Instant) bool {
	switch {
	case l.pin.manual:
		return l.pin.level
	case l.pin.wire != nil && l.pin.wire.look != nil:
		return l.pin.wire.look(at)
	case l.pin.wire != nil:
		l.catchUp(at)
		return l.pin.wire.high
	case l.script != nil:
		return l.script.level(l.board.seed, l.bcm, at, l.config.Debounce)
	}
	return l.config.Bias == sensors.PullUp
}

// catchUp records the edges of the script, or of what answers, until now.
func (l *line) catchUp(now sensors.Instant) {
	if l.script != nil && !l.pin.manual && l.config.Edges != sensors.NoEdge {
		l.script.edges(l.board.seed, l.bcm, l.since, now, l.config.Debounce, func(at sensors.Instant, high bool) bool {
			l.record(at, high)
			return true
		})
	}
	if w := l.pin.wire; w != nil && !l.pin.manual {
		w.arrive(now, func(at sensors.Instant, high bool) {
			if at.After(l.since) {
				l.record(at, high)
			}
		})
	}
	l.since = now
}

// record numbers an edge and keeps the latest, as the kernel does.
func (l *line) record(at sensors.Instant, high bool) {
	active := high != l.config.ActiveLow
	if !l.wants(active) {
		return
	}
	l.seq++
	if len(l.edges) == l.capacity {
		l.edges = slices.Delete(l.edges, 0, 1)
	}
	l.edges = append(l.edges, sensors.Edge{At: at, Active: active, Seq: l.seq})
}

func (l *line) wants(active bool) bool {
	switch l.config.Edges {
	case sensors.BothEdges:
		return true
	case sensors.RisingEdge:
		return active
	case sensors.FallingEdge:
		return !active
	}
	return false
}

func (l *line) Active() (bool, error) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if err := l.usable(); err != nil {
		return false, err
	}
	level := l.level
	if !l.config.Output {
		level = l.input(l.board.clock.Now())
	}
	return level != l.config.ActiveLow, nil
}

func (l *line) SetActive(active bool) error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if !l.config.Output {
		return fmt.Errorf("line %s is an input and can't be driven", l.ref)
	}
	if level := active != l.config.ActiveLow; level != l.level {
		l.level = level
		l.board.driven(l.bcm, l.board.clock.Now())
	}
	return nil
}

func (l *line) Edges(buf []sensors.Edge) ([]sensors.Edge, error) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if err := l.usable(); err != nil {
		return buf, err
	}
	l.catchUp(l.board.clock.Now())
	buf = append(buf, l.edges...)
	l.edges = l.edges[:0]
	return buf, nil
}

// WaitEdge sleeps on the clock until the script's next edge, or until SetInput
// makes one.
func (l *line) WaitEdge(ctx context.Context) error {
	for {
		wait, cancel := context.WithCancel(ctx)
		next, ready, err := l.nextEdge(cancel)
		if err == nil && !ready {
			err = l.board.clock.SleepUntil(wait, next)
		}
		interrupted := wait.Err() != nil
		cancel()
		switch {
		case ready:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !interrupted:
			return err
		}
	}
}

// nextEdge is when to look again, unless an edge is ready. The script is
// searched for an hour.
func (l *line) nextEdge(interrupt context.CancelFunc) (next sensors.Instant, ready bool, err error) {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if err := l.usable(); err != nil {
		return 0, false, err
	}
	now := l.board.clock.Now()
	l.catchUp(now)
	if len(l.edges) > 0 {
		return 0, true, nil
	}
	l.interrupt = interrupt
	next = now.Add(time.Hour)
	if l.script != nil && !l.pin.manual {
		l.script.edges(l.board.seed, l.bcm, now, next, l.config.Debounce, func(at sensors.Instant, high bool) bool {
			if !l.wants(high != l.config.ActiveLow) {
				return true
			}
			next = at
			return false
		})
	}
	return next, false, nil
}

func (l *line) Close() error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if l.closed {
		return fmt.Errorf("line %s is closed: %w", l.ref, unix.EBADF)
	}
	l.closed = true
	if l.interrupt != nil {
		l.interrupt()
	}
	if l.pin.line == l {
		l.pin.line = nil
	}
	return nil
}

// A script is what happens to an input. Time is cut into slots; what happens
// within one depends on a seed and the slot's number only.
type script struct {
	slot      time.Duration
	idle      bool // the level while nothing happens
	happening func(seed, slot uint64) []interval
}

// interval is a time within a slot during which the line is not idle.
type interval struct{ from, to time.Duration }

// scripts are those of the lines that have one. Contacts connect the line to
// ground and are idle high.
var scripts = map[int]script{
	16: {20 * time.Minute, true, once(1, 3, 2*time.Minute, 8*time.Minute)},   // float switch
	22: {15 * time.Second, true, rain},                                       // rain gauge
	23: {45 * time.Second, false, once(1, 2, 3*time.Second, 12*time.Second)}, // motion
	24: {15 * time.Second, true, water},                                      // water meter
	25: {18 * time.Second, true, energy},                                     // energy meter
	26: {time.Second, true, wind},                                            // anemometer
	27: {90 * time.Second, true, once(1, 2, 4*time.Second, 40*time.Second)},  // door
}

// once is an event in some of the slots (chance of each), of a length between
// two.
func once(chance, of uint64, shortest, longest time.Duration) func(seed, slot uint64) []interval {
	return func(seed, slot uint64) []interval {
		if hash(seed, slot)%of >= chance {
			return nil
		}
		from := longest/2 + time.Duration(hash(seed, slot, 1)%uint64(longest/2))
		return []interval{{from, from + shortest + time.Duration(hash(seed, slot, 2)%uint64(longest-shortest))}}
	}
}

// rain tips the bucket up to seven times in a slot, in showers of four minutes.
func rain(seed, slot uint64) []interval {
	shower := hash(seed, slot/16) % 10
	if shower < 3 {
		return nil
	}
	return pulses(seed, slot, hash(seed, slot, 1)%(shower-1), 15*time.Second, 80*time.Millisecond)
}

// water gives a pulse for each litre while one or another tap is open.
func water(seed, slot uint64) []interval {
	flow := hash(seed, slot/5) % 6
	if flow < 3 {
		return nil
	}
	return pulses(seed, slot, flow-2+hash(seed, slot, 1)%2, 15*time.Second, 200*time.Millisecond)
}

// energy is a meter of 1000 pulses per kWh with a load of 200 to 2000 W, which
// changes every three minutes.
func energy(seed, slot uint64) []interval {
	return pulses(seed, slot, 1+hash(seed, slot/10)%10, 18*time.Second, 30*time.Millisecond)
}

// wind is an anemometer that gives up to ten pulses a second, in gusts.
func wind(seed, slot uint64) []interval {
	return pulses(seed, slot, hash(seed, slot/20)%9+hash(seed, slot, 1)%3, time.Second, 15*time.Millisecond)
}

// pulses spreads n of a width over a slot of a length.
func pulses(seed, slot, n uint64, length, width time.Duration) []interval {
	out := make([]interval, n)
	for i := range out {
		share := length / time.Duration(n)
		from := time.Duration(i)*share + width + time.Duration(hash(seed, slot, 2, uint64(i))%uint64(share-3*width))
		out[i] = interval{from, from + width}
	}
	return out
}

// in lists what happens in a slot and lasts long enough for the debouncer.
func (s *script) in(slot int64, seed uint64, bcm int, debounce time.Duration) []interval {
	happens := s.happening(hash(seed, uint64(bcm)), uint64(slot))
	return slices.DeleteFunc(happens, func(i interval) bool { return i.to-i.from < debounce })
}

func (s *script) level(seed uint64, bcm int, at sensors.Instant, debounce time.Duration) bool {
	slot := int64(at) / int64(s.slot)
	within := time.Duration(int64(at) % int64(s.slot))
	for _, i := range s.in(slot, seed, bcm, debounce) {
		if i.from <= within && within < i.to {
			return !s.idle
		}
	}
	return s.idle
}

// edges visits the edges after one moment and up to another, in order, until
// visit returns false.
func (s *script) edges(seed uint64, bcm int, after, until sensors.Instant, debounce time.Duration, visit func(at sensors.Instant, high bool) bool) {
	for slot := int64(after) / int64(s.slot); slot <= int64(until)/int64(s.slot); slot++ {
		begin := sensors.Instant(slot * int64(s.slot))
		for _, i := range s.in(slot, seed, bcm, debounce) {
			for _, e := range []struct {
				at   sensors.Instant
				high bool
			}{{begin.Add(i.from), !s.idle}, {begin.Add(i.to), s.idle}} {
				if e.at.After(after) && !e.at.After(until) && !visit(e.at, e.high) {
					return
				}
			}
		}
	}
}
