package poll

import (
	"iter"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll/agenda"
)

// Plan is the wakes after from: see agenda.Plan. Times of the calendar are right
// unless the clock is stepped.
func (p *Poller) Plan(from sensors.Instant) iter.Seq[agenda.Wake] {
	return agenda.Plan(p.set.Load().config.Sensors, p.latest.Load(), p.wallTimes(), from)
}

// wallTimes gives what the wall clock will show at an Instant; zero where it
// isn't true.
func (p *Poller) wallTimes() func(sensors.Instant) time.Time {
	now := p.clock.Now()
	wall, known := p.clock.Wall(now)
	return func(t sensors.Instant) time.Time {
		if !known {
			return time.Time{}
		}
		return wall.Add(t.Sub(now))
	}
}
