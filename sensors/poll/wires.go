package poll

import (
	"example.org/dormouse/sensors/board/rails"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/buses"
)

// wires are the buses and rails that reads use. They are the loop's; a read
// only raises its rail.
type wires struct {
	*shared
	use   map[string]*rail
	buses buses.Set
}

func newWires(s *shared, cfg *config.Config) *wires {
	w := &wires{shared: s, use: map[string]*rail{}, buses: buses.Set{}}
	w.rails.Store(w.newRails(cfg))
	return w
}

func (w *wires) newRails(cfg *config.Config) *rails.Rails {
	rails := rails.New(cfg.Supplies(), w.board, w.clock)
	rails.Log = w.log
	return rails
}

// swapRails switches the present rails off and takes others, after a reload.
func (w *wires) swapRails(rails *rails.Rails) {
	before := w.rails.Load()
	if err := before.AllDown(); err != nil {
		w.log.Error("can't switch the rails off", "err", err)
	}
	rails.Succeed(before)
	w.rails.Store(rails)
	clear(w.use)
	for _, s := range w.set.Load().sensors {
		s.unpowered = s.keepsRail
		s.keepsRail = false
	}
}

// rest switches off what an earlier process may have left on, except what is
// about to be raised: a valve whose time is tomorrow.
func (w *wires) rest(soon map[string]bool) {
	if err := w.rails.Load().Rest(func(name string) bool { return soon[name] }); err != nil {
		// The read that needs it reports what is wrong with it.
		w.log.Debug("can't make sure that a rail is off", "err", err)
	}
}

// leaveBus ends a sensor's use of its bus. A transaction that hangs keeps its
// handle until it returns, and no other sensor gets that one.
func (w *wires) leaveBus(s *sensor, hung bool) {
	b := s.bus
	if b == nil {
		return
	}
	s.bus = nil
	if hung {
		w.buses.Drop(b)
		return
	}
	if err := b.Leave(); err != nil {
		w.log.Warn("can't close a bus", "bus", b.String(), "err", err)
	}
}

// A rail is up while any sensor of the wake needs it.
type rail struct {
	name  string
	users int
	ups   int // calls of Up that are to be answered by Down
}

func (w *wires) useRail(s *sensor) {
	if s.cfg.Power == "" {
		return
	}
	r := w.use[s.cfg.Power]
	if r == nil {
		r = &rail{name: s.cfg.Power}
		w.use[s.cfg.Power] = r
	}
	r.users++
	s.rail = r
}

// leaveRail ends a sensor's use of its rail; the last one switches it off. A
// sensor that holds a line keeps its rail up: what is off counts nothing.
func (w *wires) leaveRail(s *sensor) {
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
		w.lower(r.name)
	}
}

func (w *wires) lower(rail string) {
	if err := w.rails.Load().Down(rail); err != nil {
		w.log.Error("can't switch a rail off", "rail", rail, "err", err)
	}
}
