package page

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/dormouse/sensors"
)

const (
	slots    = 48
	slotTime = 24 * time.Hour / slots
	// mostCurves bounds the memory that a sensor's curves take: 250 bytes each.
	mostCurves = 8
)

// A History keeps the means of the last day's readings, in slots of half an
// hour. It takes memory when a reading is seen first, and none later. Its
// methods may be called from any goroutine.
type History struct {
	mu      sync.Mutex
	sensors map[string]*curves
	round   uint64
	// past is what an earlier process kept. Its moments are those of the wall
	// clock, which may be set long after the start.
	past   map[string][]float64
	pastAt time.Time
}

// curves are those of one sensor.
type curves struct {
	list  []*curve
	read  sensors.Instant // the last read that was taken in
	round uint64          // of the Add that saw the sensor last
}

// A curve is one reading's ring of slots.
type curve struct {
	quantity string
	labels   []string
	ring     [slots]float32 // by slot number modulo slots; NaN: nothing was read
	slot     int64          // the latest slot: moments since boot divided by slotTime
	sum      float64        // of the latest slot
	n        int
}

// newHistory makes an empty History.
func newHistory() *History { return &History{sensors: make(map[string]*curves)} }

// Add takes the readings of a Snapshot. A sensor that isn't in it any more is
// forgotten.
func (h *History) Add(s *sensors.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.round++
	for i := range s.Results {
		r := &s.Results[i]
		c := h.sensors[r.Name]
		if c == nil {
			c = &curves{}
			h.sensors[r.Name] = c
		}
		c.round = h.round
		if !r.Up || r.LastSuccess != r.LastRead || r.LastRead == c.read {
			continue // what stands was taken before
		}
		c.read = r.LastRead
		for j := range r.Readings {
			c.add(j, &r.Readings[j], r.LastRead)
		}
	}
	if len(h.sensors) > len(s.Results) {
		for name, c := range h.sensors {
			if c.round != h.round {
				delete(h.sensors, name)
			}
		}
	}
}

// add takes the reading that is at place i of its sensor's: in most wakes its
// curve is at the same place.
func (c *curves) add(i int, g *sensors.Reading, at sensors.Instant) {
	if !drawable(g) {
		return
	}
	one := c.find(i, g)
	if one == nil {
		if len(c.list) >= mostCurves {
			return
		}
		one = &curve{quantity: g.Quantity.Name, labels: slices.Clone(g.Labels)}
		for k := range one.labels {
			one.labels[k] = strings.Clone(one.labels[k])
		}
		for k := range one.ring {
			one.ring[k] = float32(math.NaN())
		}
		c.list = append(c.list, one)
	}
	one.set(slotOf(at), g.Value)
}

// drawable tells whether a reading is a level: the curve of a counter, or of a
// moment, which a program may print too, says nothing.
func drawable(g *sensors.Reading) bool {
	return g.Plain() && g.Quantity.Kind == sensors.Gauge && !strings.HasSuffix(g.Quantity.Name, "timestamp")
}

func (c *curves) find(i int, g *sensors.Reading) *curve {
	if i < len(c.list) && c.list[i].is(g) {
		return c.list[i]
	}
	for _, one := range c.list {
		if one.is(g) {
			return one
		}
	}
	return nil
}

func (c *curve) is(g *sensors.Reading) bool {
	return c.quantity == g.Quantity.Name && slices.Equal(c.labels, g.Labels)
}

func slotOf(at sensors.Instant) int64 { return int64(at) / int64(slotTime) }

func (c *curve) set(slot int64, v float64) {
	if c.n == 0 || slot != c.slot {
		for s := max(c.slot+1, slot-slots+1); s < slot && c.n > 0; s++ {
			c.ring[s%slots] = float32(math.NaN())
		}
		c.slot, c.sum, c.n = slot, 0, 0
	}
	c.sum += v
	c.n++
	c.ring[slot%slots] = float32(c.sum / float64(c.n))
}

// points are the last day's means, the oldest first; NaN where nothing was read.
func (c *curve) points(now int64) []float64 {
	all := make([]float64, slots)
	for i := range all {
		slot := now - slots + 1 + int64(i)
		if c.n == 0 || slot > c.slot || slot <= c.slot-slots || slot < 0 {
			all[i] = math.NaN()
			continue
		}
		all[i] = float64(c.ring[slot%slots])
	}
	return all
}

// Points are the means of a reading in the slots of the last day, the oldest
// first; NaN where nothing was read, nil where there is no curve.
func (h *History) Points(sensor string, g *sensors.Reading, now sensors.Instant, wall time.Time) []float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.sensors[sensor]
	if c == nil {
		return nil
	}
	one := c.find(0, g)
	if one == nil {
		return nil
	}
	points := one.points(slotOf(now))
	h.addPast(points, key(sensor, one.quantity, one.labels), wall)
	return points
}

// addPast fills empty slots from what an earlier process kept.
func (h *History) addPast(points []float64, key string, wall time.Time) {
	past := h.past[key]
	if len(past) != slots || wall.Before(h.pastAt) {
		return // the wall clock isn't set yet, or wasn't then
	}
	for i := range points {
		// How long ago this slot is, in slots of the earlier process.
		j := i + int(wall.Sub(h.pastAt)/slotTime)
		if j >= 0 && j < slots && math.IsNaN(points[i]) {
			points[i] = past[j]
		}
	}
}

func key(sensor, quantity string, labels []string) string {
	return strings.Join(append([]string{sensor, quantity}, labels...), "\x1f")
}

// kept is a History in the file.
type kept struct {
	At     time.Time             `json:"at"`
	Curves map[string][]*float64 `json:"curves"` // null: nothing was read
}

// Save is the History for a later process, nil where there is nothing to be
// kept or the wall clock can't be true.
func (h *History) Save(now sensors.Instant, wall time.Time, wallOK bool) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !wallOK {
		return nil, nil
	}
	k := kept{At: wall, Curves: make(map[string][]*float64)}
	for name, c := range h.sensors {
		for _, one := range c.list {
			points := one.points(slotOf(now))
			id := key(name, one.quantity, one.labels)
			h.addPast(points, id, wall)
			list := make([]*float64, slots)
			for i, v := range points {
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					list[i] = &v
				}
			}
			k.Curves[id] = list
		}
	}
	if len(k.Curves) == 0 {
		return nil, nil
	}
	return json.Marshal(k)
}

// Restore takes what Save gave an earlier process.
func (h *History) Restore(data []byte) error {
	if data == nil {
		return nil
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return fmt.Errorf("curves of an earlier run: %w", err)
	}
	past := make(map[string][]float64, len(k.Curves))
	for id, list := range k.Curves {
		if len(list) != slots {
			return fmt.Errorf("curves of an earlier run: one has %d points, and not %d", len(list), slots)
		}
		points := make([]float64, slots)
		for i, v := range list {
			points[i] = math.NaN()
			if v != nil {
				points[i] = *v
			}
		}
		past[id] = points
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past, h.pastAt = past, k.At
	return nil
}
