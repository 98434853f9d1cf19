package poll

import (
	"sync"
	"sync/atomic"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"periph.io/x/conn/v3/i2c"
)

// A bus is opened by the first transaction of a wake and closed by the last
// sensor that may use it.
type bus struct {
	number sensors.Bus
	users  atomic.Int32

	mu  sync.Mutex
	dev i2c.BusCloser
}

func (b *bus) open(from board.Board) (i2c.Bus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dev == nil {
		dev, err := from.OpenBus(b.number)
		if err != nil {
			return nil, err
		}
		b.dev = dev
	}
	return b.dev, nil
}

// release lets one user go.
func (b *bus) release() error {
	if b.users.Add(-1) > 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	dev := b.dev
	if dev == nil {
		return nil
	}
	b.dev = nil
	return dev.Close()
}

// useBus finds the handle of a bus for one more user.
func (p *Poller) useBus(n sensors.Bus) *bus {
	b := p.buses[n]
	if b == nil {
		b = &bus{number: n}
		p.buses[n] = b
	}
	b.users.Add(1)
	return b
}

// leaveBus ends a sensor's use of its bus. A transaction that hangs keeps its
// handle until it returns, and nobody else gets that one.
func (p *Poller) leaveBus(s *sensor, hung bool) {
	b := s.bus
	if b == nil {
		return
	}
	s.bus = nil
	if hung {
		if p.buses[b.number] == b {
			delete(p.buses, b.number)
		}
		return
	}
	if err := b.release(); err != nil {
		p.log.Warn("can't close a bus", "bus", b.number.String(), "err", err)
	}
}

// A rail is up while any sensor of the wake needs it.
type rail struct {
	name  string
	users int
	ups   int // calls of Up that are to be answered by Down
}

func (p *Poller) useRail(s *sensor) {
	if s.cfg.Power == "" {
		return
	}
	r := p.railUse[s.cfg.Power]
	if r == nil {
		r = &rail{name: s.cfg.Power}
		p.railUse[s.cfg.Power] = r
	}
	r.users++
	s.rail = r
}

// leaveRail ends a sensor's use of its rail; the last one switches it off. A
// sensor that holds a line keeps its rail up: what is off counts nothing.
func (p *Poller) leaveRail(s *sensor) {
	r := s.rail
	if r == nil {
		return
	}
	s.rail = nil
	r.users--
	if s.raised {
		s.raised = false
		if !s.keepsRail && s.holds() {
			s.keepsRail = true
		} else {
			r.ups++
		}
	}
	for ; r.users == 0 && r.ups > 0; r.ups-- {
		p.lower(r.name)
	}
}

func (p *Poller) lower(rail string) {
	if err := p.rails.Down(rail); err != nil {
		p.log.Error("can't switch a rail off", "rail", rail, "err", err)
	}
}
