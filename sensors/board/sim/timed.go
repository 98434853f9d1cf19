package sim

import (
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// The lines of what answers in time.
const (
	shedLine       = 4  // DHT22
	cisternTrigger = 12 // HC-SR04
	cisternEcho    = 13
	beehiveData    = 20 // HX711
	beehiveClock   = 21
)

// A wire is the far end of a line that one of them drives.
type wire struct {
	high   bool
	coming []transition // in order
	// look, if set, is the level when somebody looks.
	look func(now sensors.Instant) bool
	// pulled is called when an output on the line was driven high or low,
	// released when it became an input.
	pulled   func(now sensors.Instant, high bool)
	released func(now sensors.Instant)
}

type transition struct {
	at   sensors.Instant
	high bool
}

// change lets the level change at a moment to come.
func (w *wire) change(at sensors.Instant, high bool) {
	w.coming = append(w.coming, transition{at, high})
}

// busy tells whether changes are still to come.
func (w *wire) busy(now sensors.Instant) bool {
	return len(w.coming) > 0 && w.coming[len(w.coming)-1].at.After(now)
}

// arrive makes what has come until now so, and shows each change.
func (w *wire) arrive(now sensors.Instant, edge func(at sensors.Instant, high bool)) {
	for len(w.coming) > 0 && !w.coming[0].at.After(now) {
		t := w.coming[0]
		w.coming = w.coming[1:]
		if t.high != w.high {
			w.high = t.high
			edge(t.at, t.high)
		}
	}
}

// wireTimed connects the devices to their lines.
func (b *Board) wireTimed() {
	b.pins[shedLine].wire = dht22(b)
	b.pins[cisternTrigger].wire, b.pins[cisternEcho].wire = sonar(b)
	b.pins[beehiveData].wire, b.pins[beehiveClock].wire = scale(b)
}

// sonar is an HC-SR04. At the end of a trigger pulse of 10 µs it sends a
// burst, and holds the echo high for as long as the sound is under way: 331.3
// m/s at 0 °C and 0.606 m/s more for each degree.
func sonar(b *Board) (trigger, echo *wire) {
	echo = &wire{}
	var since sensors.Instant
	trigger = &wire{}
	trigger.pulled = func(now sensors.Instant, high bool) {
		was := trigger.high
		trigger.high = high
		switch {
		case high:
			since = now
		case was && now.Sub(since) >= 10*time.Microsecond && !echo.busy(now):
			v := b.values(now)
			begin := now.Add(450 * time.Microsecond)
			echo.change(begin, true)
			echo.change(begin.Add(micros(2e6*v.CisternDistance/(331.3+0.606*v.ShedTemperature))), false)
		}
	}
	return trigger, echo
}

// dht22 answers when its line was low for 1 ms and is released: 80 µs low, 80
// µs high, then each bit 50 µs low and 26 (0) or 70 µs (1) high (AM2302 product
// manual, section 7).
func dht22(b *Board) *wire {
	w := &wire{high: true}
	var since, last sensors.Instant
	low := false
	w.pulled = func(now sensors.Instant, high bool) {
		if low = !high; low {
			since = now
		}
	}
	w.released = func(now sensors.Instant) {
		held := low && now.Sub(since) >= time.Millisecond
		low = false
		if !held || now.Sub(max(last, b.start)) < 2*time.Second {
			return
		}
		last = now
		v := b.values(now)
		humidity := uint16(math.Round(v.ShedHumidity * 10))
		temperature := uint16(math.Round(math.Abs(v.ShedTemperature) * 10))
		if v.ShedTemperature < 0 {
			temperature |= 0x8000
		}
		frame := []byte{byte(humidity >> 8), byte(humidity), byte(temperature >> 8), byte(temperature), 0}
		frame[4] = frame[0] + frame[1] + frame[2] + frame[3]
		at := now.Add(micros(30))
		pulse := func(low, high float64) {
			w.change(at, false)
			w.change(at.Add(micros(low)), true)
			at = at.Add(micros(low + high))
		}
		pulse(80, 80)
		for _, octet := range frame {
			for bit := 7; bit >= 0; bit-- {
				pulse(50, 26+44*float64(octet>>bit&1))
			}
		}
		pulse(50, 0)
	}
	return w
}

// The load cell below the beehive: what it reads empty, and for each gram.
const (
	beehiveTare   = -84213
	beehiveFactor = 21.37
)

// scale is an HX711 at ten conversions a second. It counts what its clock
// does: the bits, the pulses that choose input and gain (only the first of
// them is wired), and 60 µs high for sleep.
func scale(b *Board) (data, clock *wire) {
	const conversion = 100 * time.Millisecond
	ready := b.start // when the next conversion has ended
	var since sensors.Instant
	pulses, value := 0, 0
	asleep := func(now sensors.Instant, high bool) bool { return high && now.Sub(since) >= 60*time.Microsecond }
	clock = &wire{}
	clock.pulled = func(now sensors.Instant, high bool) {
		defer func() { since, clock.high = now, high }()
		switch {
		case high == clock.high:
		case asleep(now, clock.high):
			pulses, ready = 0, now.Add(4*conversion)
		case high && pulses == 0 && !now.Before(ready):
			value = beehiveTare + int(math.Round(beehiveFactor*b.values(now).BeehiveMass))
			pulses = 1
		case high && pulses > 0:
			if pulses++; pulses == 25 {
				ready = now.Add(conversion)
			}
		}
	}
	data = &wire{look: func(now sensors.Instant) bool {
		switch {
		case asleep(now, clock.high):
			return true
		case pulses > 0 && pulses < 25:
			return value>>(24-pulses)&1 == 1
		case pulses >= 25 && !now.Before(ready):
			pulses = 0
		}
		return now.Before(ready)
	}}
	return data, clock
}

// micros is a time of a data sheet.
func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }
