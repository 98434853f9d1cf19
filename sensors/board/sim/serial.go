package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim/chips"
	"golang.org/x/sys/unix"
)

// ParticlePort is the serial port with the board's PMS5003.
const ParticlePort = "/dev/serial0"

// A SerialModel is what is at the other end of a serial port.
type SerialModel interface {
	// Receive takes what was sent to it at a moment.
	Receive(now sensors.Instant, data []byte)
	// Until has it send what it sends by itself until a moment.
	Until(at sensors.Instant)
	// Reset is a power-up.
	Reset(now sensors.Instant)
}

// serialModels makes each kind of device by its name; send is how it sends,
// from a moment on.
var serialModels = map[string]func(w chips.World, now sensors.Instant, send func(at sensors.Instant, data ...byte)) SerialModel{
	"pms5003": newPMS5003,
}

// NewSerialDevice makes a device that stands alone: what a driver is tested
// against.
func NewSerialDevice(model string, w chips.World, now sensors.Instant, send func(at sensors.Instant, data ...byte)) SerialModel {
	build, ok := serialModels[model]
	if !ok {
		panic(fmt.Sprintf("sim: no serial device %s is modelled", model))
	}
	return build(w, now, send)
}

// serialSlot is a port and what is at its other end.
type serialSlot struct {
	model     SerialModel
	unplugged bool
	opened    bool
	queue     []arrival // what the port has received or will
}

// An arrival is a byte, and when it is there.
type arrival struct {
	at    sensors.Instant
	value byte
}

// attachSerial puts a device at a port.
func (b *Board) attachSerial(path, model string, w chips.World) {
	s := &serialSlot{}
	const char = 10 * time.Second / 9600
	send := func(at sensors.Instant, data ...byte) {
		for i, value := range data {
			s.queue = append(s.queue, arrival{at.Add(time.Duration(i+1) * char), value})
		}
	}
	s.model = NewSerialDevice(model, w, b.start, send)
	b.serialSlots[path] = s
}

// UnplugSerial takes a port's adapter away, or plugs it in again.
func (b *Board) UnplugSerial(path string, unplugged bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serialSlots[path].unplugged = unplugged
}

func listSerial(b *Board) []board.Device {
	b.mu.Lock()
	defer b.mu.Unlock()
	var devices []board.Device
	for path, s := range b.serialSlots {
		if !s.unplugged {
			devices = append(devices, board.Device{Claim: sensors.Claim{Kind: sensors.SerialWire, Path: path}, Node: "/dev/ttyAMA0", Note: "uart-pl011"})
		}
	}
	return devices
}

func openSerial(b *Board, c sensors.Claim, config any) (io.Closer, error) {
	if err := board.CheckSerial(c.Path, config.(sensors.SerialConfig)); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.serialSlots[c.Path]
	switch {
	case s == nil || s.unplugged:
		return nil, board.SerialOpenError(c.Path, []string{ParticlePort}, unix.ENOENT)
	case s.opened:
		return nil, board.SerialHeld(c.Path, "this program", unix.EBUSY)
	}
	s.opened = true
	s.discard(b.clock.Now())
	return &serialPort{board: b, path: c.Path, slot: s}, nil
}

// discard forgets what has arrived.
func (s *serialSlot) discard(now sensors.Instant) {
	s.model.Until(now)
	s.queue = slices.DeleteFunc(s.queue, func(a arrival) bool { return !a.at.After(now) })
}

// serialPort is a port that somebody has opened.
type serialPort struct {
	board  *Board
	path   string
	slot   *serialSlot
	closed bool // guarded by board.mu
}

// step is how far ahead a device is asked what it will send by itself.
const step = 100 * time.Millisecond

// Read waits on the board's clock for the next byte.
func (p *serialPort) Read(ctx context.Context, data []byte) (int, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, next, err := p.take(data)
		if n > 0 || err != nil {
			return n, err
		}
		if err := p.board.clock.SleepUntil(ctx, next); err != nil {
			return 0, err
		}
	}
}

// take takes what has arrived; of nothing it tells when to look again.
func (p *serialPort) take(data []byte) (n int, next sensors.Instant, err error) {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	if err := p.usable(); err != nil {
		return 0, 0, err
	}
	now := p.board.clock.Now()
	p.slot.model.Until(now.Add(step))
	q := p.slot.queue
	for n < len(data) && n < len(q) && !q[n].at.After(now) {
		data[n] = q[n].value
		n++
	}
	p.slot.queue = q[n:]
	next = now.Add(step)
	if n == 0 && len(q) > 0 && q[0].at.Before(next) {
		next = q[0].at
	}
	return n, next, nil
}

func (p *serialPort) usable() error {
	switch {
	case p.closed:
		return fmt.Errorf("serial port %s: %w", p.path, os.ErrClosed)
	case p.slot.unplugged:
		return board.SerialOpenError(p.path, nil, unix.EIO)
	}
	return nil
}

func (p *serialPort) Write(ctx context.Context, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	p.slot.model.Receive(p.board.clock.Now(), data)
	return nil
}

func (p *serialPort) Discard() error {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	if err := p.usable(); err != nil {
		return err
	}
	p.slot.discard(p.board.clock.Now())
	return nil
}

func (p *serialPort) Close() error {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	if p.closed {
		return fmt.Errorf("serial port %s: %w", p.path, os.ErrClosed)
	}
	p.closed, p.slot.opened = true, false
	return nil
}

// pms5003 is Plantower's sensor, by its data manual V2.3. It measures once a
// second while it is awake.
type pms5003 struct {
	world   chips.World
	send    func(at sensors.Instant, data ...byte)
	asleep  bool
	passive bool
	started sensors.Instant // when it was last switched on
	next    sensors.Instant // when it sends by itself
	partial []byte          // of a command
}

// pmsStarts is how long it doesn't hear after it was switched on. It isn't
// documented.
const pmsStarts = 500 * time.Millisecond

func newPMS5003(w chips.World, now sensors.Instant, send func(at sensors.Instant, data ...byte)) SerialModel {
	p := &pms5003{world: w, send: send}
	p.Reset(now.Add(-time.Minute))
	return p
}

// Reset has it awake and sending by itself, as after power-up.
func (p *pms5003) Reset(now sensors.Instant) {
	*p = pms5003{world: p.world, send: p.send, started: now, next: now.Add(time.Second)}
}

func (p *pms5003) Until(at sensors.Instant) {
	for ; !p.next.After(at); p.next = p.next.Add(time.Second) {
		if !p.asleep && !p.passive {
			p.send(p.next, p.frame(p.next)...)
		}
	}
}

func (p *pms5003) Receive(now sensors.Instant, data []byte) {
	p.Until(now)
	if !p.asleep && now.Sub(p.started) < pmsStarts {
		return
	}
	p.partial = append(p.partial, data...)
	const size = 7
	for len(p.partial) >= size {
		command := p.partial[:size]
		if binary.BigEndian.Uint16(command) != 0x424d || binary.BigEndian.Uint16(command[5:]) != sum(command[:5]) {
			p.partial = p.partial[1:]
			continue
		}
		p.partial = p.partial[size:]
		p.obey(now, command[2], command[4])
	}
}

func (p *pms5003) obey(now sensors.Instant, command, argument byte) {
	switch {
	case command == 0xe4 && argument == 1:
		if p.asleep {
			p.asleep, p.started = false, now
		}
	case p.asleep:
		return
	case command == 0xe4:
		p.asleep = true
		p.answer(now, command, argument)
	case command == 0xe1:
		p.passive = argument == 0
		p.answer(now, command, argument)
	case command == 0xe2 && p.passive:
		p.send(now.Add(5*time.Millisecond), p.frame(now)...)
	}
}

func (p *pms5003) answer(now sensors.Instant, command, argument byte) {
	frame := []byte{0x42, 0x4d, 0, 4, command, argument}
	p.send(now.Add(5*time.Millisecond), binary.BigEndian.AppendUint16(frame, sum(frame))...)
}

// frame is what it measured in the second before: appendix I of the manual.
// While the fan starts there is less air than it counts on.
func (p *pms5003) frame(now sensors.Instant) []byte {
	at := sensors.Instant(int64(now) / int64(time.Second) * int64(time.Second))
	share := min(1, now.Sub(p.started).Seconds()/20)
	frame := []byte{0x42, 0x4d, 0, 28}
	var mass [3]uint16
	for i, size := range []string{"1", "2.5", "10"} {
		mass[i] = uint16(p.world(at, "particulate_matter "+size)*1e6*share + 0.5)
	}
	for _, standard := range []uint16{3, 2} { // halves: CF=1, and atmospheric
		for _, m := range mass {
			frame = binary.BigEndian.AppendUint16(frame, m*standard/2)
		}
	}
	for _, factor := range []uint16{90, 27, 5, 3, 2, 1} { // numbers of particles
		frame = binary.BigEndian.AppendUint16(frame, mass[2]*factor)
	}
	frame = append(frame, 0x97, 0x00) // version, fault
	return binary.BigEndian.AppendUint16(frame, sum(frame))
}

func sum(data []byte) (s uint16) {
	for _, b := range data {
		s += uint16(b)
	}
	return s
}
