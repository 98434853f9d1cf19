package sensortest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// A SerialDevice is what is at the other end of a serial port, in the virtual
// time of an Env.
type SerialDevice struct {
	// Receive is called with what a driver sends. May be nil.
	Receive func(now sensors.Instant, data []byte)
	// Until is called before the driver waits until a moment, so that the device
	// can Send what it sends by itself until then. May be nil.
	Until   func(at sensors.Instant)
	Opened  int // how often the port was opened
	Closed  int
	Err     error    // not nil: what every read and write gives: an adapter that is unplugged
	OpenErr error    // what an open gives
	Sent    [][]byte // all that the device has sent, in this order

	queue []sent                          // by the moment, what hasn't been read
	read  []int                           // the numbers of what was read, and not discarded
	alter func(n int, data []byte) []byte // of a fault: to what is sent as number n
	flood bool                            // of a fault: there is always more
}

// sent is something that the device sends, from a moment on.
type sent struct {
	at   sensors.Instant
	data []byte
	n    int // it is this number of what was sent
}

// Send has the device send data from a moment on.
func (d *SerialDevice) Send(at sensors.Instant, data ...byte) {
	n := len(d.Sent)
	d.Sent = append(d.Sent, slices.Clone(data))
	if d.alter != nil {
		data = d.alter(n, data)
	}
	if len(data) == 0 {
		return
	}
	d.queue = append(d.queue, sent{at, slices.Clone(data), n})
	slices.SortStableFunc(d.queue, func(a, b sent) int { return int(max(-1, min(1, a.at.Sub(b.at)))) })
}

// serialPort is a port that a driver has opened. What the device sends takes
// the time of its bits, and comes in pieces.
type serialPort struct {
	env    *Env
	device *SerialDevice
	char   time.Duration
	closed bool
}

// piece is the most that one read gives: not a divisor of any frame's length.
const piece = 7

func openSerial(e *Env, connected, config any) (io.Closer, error) {
	d, c := connected.(*SerialDevice), config.(sensors.SerialConfig)
	if err := board.CheckSerial("test", c); err != nil {
		return nil, err
	}
	if d.OpenErr != nil {
		return nil, d.OpenErr
	}
	d.Opened++
	return &serialPort{env: e, device: d, char: 10 * time.Second / time.Duration(c.Baud)}, nil
}

func (p *serialPort) usable(ctx context.Context) error {
	switch {
	case p.closed:
		return os.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return p.device.Err
}

func (p *serialPort) Read(ctx context.Context, data []byte) (int, error) {
	if err := p.usable(ctx); err != nil {
		return 0, err
	}
	data = data[:min(len(data), piece)]
	d := p.device
	if d.flood {
		for i := range data {
			data[i] = byte(p.env.now)
		}
		return len(data), p.env.passUntil(ctx, p.env.now.Add(time.Duration(len(data))*p.char))
	}
	if end, ok := ctx.Value(deadlineKey{}).(sensors.Instant); ok && d.Until != nil && len(d.queue) == 0 {
		d.Until(end)
	}
	if len(d.queue) == 0 {
		if ctx.Value(deadlineKey{}) == nil {
			p.env.tb.Fatal("the driver waits without end on a serial port: bound it by Env.WithTimeout")
		}
		err := p.env.passUntil(ctx, sensors.Instant(1<<62))
		return 0, err
	}
	next := &d.queue[0]
	n := min(len(data), len(next.data))
	if err := p.env.passUntil(ctx, next.at.Add(time.Duration(n)*p.char)); err != nil {
		return 0, err
	}
	copy(data, next.data[:n])
	if !slices.Contains(d.read, next.n) {
		d.read = append(d.read, next.n)
	}
	if next.data = next.data[n:]; len(next.data) == 0 {
		d.queue = d.queue[1:]
	} else if next.at = next.at.Add(time.Duration(n) * p.char); p.env.now.After(next.at) {
		next.at = p.env.now // it was read late: the rest is there already
	}
	return n, nil
}

func (p *serialPort) Write(ctx context.Context, data []byte) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	if err := p.env.passUntil(ctx, p.env.now.Add(time.Duration(len(data))*p.char)); err != nil {
		return err
	}
	if p.device.Receive != nil {
		p.device.Receive(p.env.now, slices.Clone(data))
	}
	return nil
}

// Discard forgets what the device has sent so far.
func (p *serialPort) Discard() error {
	if err := p.usable(context.Background()); err != nil {
		return err
	}
	d := p.device
	if d.Until != nil {
		d.Until(p.env.now)
	}
	for len(d.queue) > 0 {
		first := &d.queue[0]
		if first.at.After(p.env.now) {
			break
		}
		n := min(len(first.data), int(p.env.now.Sub(first.at)/p.char))
		if n < len(first.data) {
			first.data, first.at = first.data[n:], first.at.Add(time.Duration(n)*p.char)
			break
		}
		d.queue = d.queue[1:]
	}
	return nil
}

func (p *serialPort) Close() error {
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	p.device.Closed++
	return nil
}

// serialFaults break the port, and each thing that the device sends.
func serialFaults(h *harness, connected any) []Fault {
	device := func(e *Env) *SerialDevice { return e.Wires[sensors.SerialWire].(*SerialDevice) }
	var faults []Fault
	fault := func(kind Kind, spoil func(e *Env, d *SerialDevice), format string, args ...any) {
		faults = append(faults, Fault{Name: fmt.Sprintf(format, args...), kind: kind, Break: func(e *Env) { spoil(e, device(e)) }})
	}
	fault(Wire, func(_ *Env, d *SerialDevice) { d.OpenErr = board.SerialOpenError("test", nil, syscall.ENOENT) }, "there is no port")
	fault(Wire, func(_ *Env, d *SerialDevice) { d.OpenErr = board.SerialHeld("test", "", syscall.EBUSY) }, "the port is held")
	fault(Wire, func(_ *Env, d *SerialDevice) { d.Err = syscall.EIO }, "the adapter is gone")
	fault(NoAnswer, func(_ *Env, d *SerialDevice) { d.alter = func(int, []byte) []byte { return nil } }, "nothing is sent")
	fault(Wire, func(_ *Env, d *SerialDevice) { d.flood = true }, "what is sent has no end")
	healthy := connected.(*SerialDevice)
	for _, n := range healthy.read {
		frame := healthy.Sent[n]
		alter := func(kind Kind, change func(data []byte) []byte, format string, args ...any) {
			fault(kind, func(_ *Env, d *SerialDevice) {
				d.alter = func(i int, data []byte) []byte {
					if i == n {
						data = change(data)
					}
					return data
				}
			}, "what is sent as number %d %s", n, fmt.Sprintf(format, args...))
		}
		alter(NoAnswer, func([]byte) []byte { return nil }, "is lost")
		fault(NoAnswer, func(_ *Env, d *SerialDevice) {
			d.alter = func(i int, data []byte) []byte {
				if i >= n {
					return nil
				}
				return data
			}
		}, "and all after it is lost")
		for end := 1; end < len(frame); end++ {
			alter(Short, func(data []byte) []byte { return data[:end] }, "ends after %d bytes", end)
		}
		for _, junk := range [][]byte{{0x00}, {0xff, 0x00}, frame[:1], frame[:len(frame)/2], frame[len(frame)/2:]} {
			alter(Shifted, func(data []byte) []byte { return slices.Concat(junk, data) }, "comes after % x", junk)
		}
		alter(Shifted, func(data []byte) []byte { return data[1:] }, "lacks its first byte")
		alter(Shifted, func(data []byte) []byte { return slices.Concat(data, data) }, "comes twice")
		for bit := range 8 * len(frame) {
			alter(OneBit, func(data []byte) []byte { return flipped(data, bit) }, "has bit %d of byte %d flipped", bit%8, bit/8)
		}
		random := rand.New(rand.NewPCG(uint64(n), uint64(len(frame)))) // the same ones each time
		for range mostPairs {
			a, b := random.IntN(8*len(frame)), random.IntN(8*len(frame))
			alter(TwoBits, func(data []byte) []byte { return flipped(data, a, b) }, "has bits %d and %d of bytes %d and %d flipped", a%8, b%8, a/8, b/8)
		}
		if h.c.Reset != nil {
			fault(ChipReset, func(e *Env, d *SerialDevice) {
				d.alter = func(i int, data []byte) []byte {
					if i == n {
						h.c.Reset(e)
						return nil
					}
					return data
				}
			}, "the device starts anew instead of sending number %d", n)
		}
	}
	return faults
}

func mendSerial(connected any) {
	d := connected.(*SerialDevice)
	d.Err, d.OpenErr, d.alter, d.flood = nil, nil, nil, false
}

// flipped is data with some bits flipped.
func flipped(data []byte, bits ...int) []byte {
	data = slices.Clone(data)
	for _, bit := range bits {
		if bit/8 < len(data) {
			data[bit/8] ^= 1 << (bit % 8)
		}
	}
	return data
}
