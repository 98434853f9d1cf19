// Package pinout models the 40-pin header of a Raspberry Pi with what a
// configuration wires to it and with what the board says of its lines. It
// changes nothing and opens no line; how a model is shown is a renderer's
// business.
package pinout

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
)

// A Pinout is the header and what is to be said of it.
type Pinout struct {
	Pins      [len(sensors.Header)]Pin
	Elsewhere []string // what is wired to lines and buses that aren't on the header
	Notes     []string // conflicts, and what couldn't be found out
}

// A Pin is one pin of the header with its users.
type Pin struct {
	sensors.HeaderPin
	Users    []User
	Function string // the peripheral function that the pin has at present: "SDA of I2C bus 1"; empty: it is a line
	Holder   string // who holds the line, other than its user
	Conflict bool   // it has two uses; Pinout.Notes tells which
}

// A User is a sensor or a rail of the configuration on a pin.
type User struct {
	Label   string   // "door", "sonar echo", "rail probes"
	Sensors []string // those that the pin is used for
	Signal  string   // "SDA"; empty of a line

	consumer string // the name that the kernel shows while the line is held
	force    bool   // it takes the line from a peripheral
	group    string // users of an equal, non-empty group may share a pin: the sensors of one chip
}

// A State is the one thing to know of a pin.
type State int

// The states of a pin, of which the first that applies is the pin's.
const (
	Ground   State = iota
	Supply         // 3.3 V or 5 V, and pins that aren't lines
	Conflict       // it has two uses
	Used           // by the configuration
	Taken          // by something else: a peripheral function, or another program
	Free
)

// State is the state of the pin.
func (pin *Pin) State() State {
	switch {
	case pin.Name == "GND":
		return Ground
	case pin.BCM < 0:
		return Supply
	case pin.Conflict:
		return Conflict
	case len(pin.Users) > 0:
		return Used
	case pin.Function != "" || pin.Holder != "":
		return Taken
	}
	return Free
}

// Text is what the pin is used for, empty where it is free.
func (pin *Pin) Text() string {
	switch {
	case len(pin.Users) > 0:
		return pin.users(" / ")
	case pin.Function != "":
		return pin.Function
	case pin.Holder != "":
		return "held by " + pin.Holder
	}
	return ""
}

func (pin *Pin) users(separator string) string {
	var labels []string
	for _, u := range pin.Users {
		labels = append(labels, u.Label)
	}
	return strings.Join(labels, separator)
}

// New makes the model of a configuration. Where b isn't nil the board is asked
// who holds its lines and which functions its pins have; nothing is requested
// from it.
func New(cfg *config.Config, b board.Inspector) *Pinout {
	p := &Pinout{}
	for i, pin := range sensors.Header {
		p.Pins[i].HeaderPin = pin
	}
	p.addBuses(cfg)
	lines := &lines{board: b}
	p.addRails(cfg, lines)
	p.addSensors(cfg, lines)
	p.noteSharedPins()
	if b != nil {
		p.inspect(lines)
	}
	return p
}

func (p *Pinout) addRails(cfg *config.Config, lines *lines) {
	for _, r := range cfg.Rails {
		user := User{Label: "rail " + r.Name, Sensors: poweredBy(cfg, r), consumer: "dormouse " + r.Name, force: r.Force}
		if r.Implicit {
			user.Label = "power of " + strings.Join(user.Sensors, ", ")
		}
		p.addUser(r.Line, user, lines)
	}
}

func (p *Pinout) addSensors(cfg *config.Config, lines *lines) {
	for _, s := range cfg.Sensors {
		claims := s.Options.Claims()
		count := 0
		for _, c := range claims {
			if c.Kind == sensors.LineWire {
				count++
			}
		}
		for _, c := range claims {
			if c.Kind != sensors.LineWire {
				continue
			}
			user := User{Label: s.Name, Sensors: []string{s.Name}, consumer: "dormouse " + s.Name, force: c.Force}
			if count > 1 {
				user.Label += " " + c.Option
			}
			if chip, ok := s.Chip(); ok {
				user.group = s.Driver.Name + ", " + chip.Key()
			}
			p.addUser(c.Line, user, lines)
		}
	}
}

func poweredBy(cfg *config.Config, r *config.Rail) []string {
	var names []string
	for _, s := range cfg.Sensors {
		if s.Rail == r {
			names = append(names, s.Name)
		}
	}
	return names
}

// addBuses adds the buses and ports that sensors are on.
func (p *Pinout) addBuses(cfg *config.Config) {
	on := map[string][]string{} // names of sensors, by medium
	seen := map[string]bool{}
	var claims []sensors.Claim // one of each medium's pins
	for _, s := range cfg.Sensors {
		for _, c := range s.Options.Claims() {
			medium := c.Medium()
			if medium == "" {
				continue
			}
			if !slices.Contains(on[medium], s.Name) {
				on[medium] = append(on[medium], s.Name)
			}
			if key := fmt.Sprint(medium, c.Pins()); !seen[key] {
				seen[key] = true
				claims = append(claims, c)
			}
		}
	}
	for _, c := range claims {
		medium := c.Medium()
		label := fmt.Sprintf("%s: %s", medium, strings.Join(on[medium], ", "))
		if len(c.Pins()) == 0 {
			p.Elsewhere = append(p.Elsewhere, label)
		}
		for _, signal := range c.Pins() {
			pin := p.byBCM(signal.BCM)
			pin.Function = fmt.Sprintf("%s of %s", signal.Name, medium)
			user := User{Label: signal.Name + " of " + label, Sensors: on[medium], Signal: signal.Name, group: label}
			if !slices.ContainsFunc(pin.Users, func(u User) bool { return u.Label == user.Label && u.group == user.group }) {
				pin.Users = append(pin.Users, user)
			}
		}
	}
}

// byBCM is the pin of a line; nil where it has none.
func (p *Pinout) byBCM(n int) *Pin {
	for i := range p.Pins {
		if p.Pins[i].BCM == n && n >= 0 {
			return &p.Pins[i]
		}
	}
	return nil
}

func (p *Pinout) addUser(ref sensors.LineRef, user User, lines *lines) {
	if pin := p.byBCM(lines.bcm(ref)); pin != nil {
		pin.Users = append(pin.Users, user)
		return
	}
	text := fmt.Sprintf("%s: %s", ref, user.Label)
	if info, ok := lines.info(ref); ok {
		text += fmt.Sprintf(" (%s line %d)", info.Chip, info.Offset)
		if info.Held && !sameConsumer(info.Consumer, user.consumer) {
			p.notef("%s is held by %s: stop that, or wire %s to another line", ref, info.Holder(), user.Label)
		}
	} else if lines.err != nil && ref.BCM < 0 && lines.haveHeader() {
		p.notef("%v", lines.err)
	}
	p.Elsewhere = append(p.Elsewhere, text)
}

// noteSharedPins notes each pin that has two users.
func (p *Pinout) noteSharedPins() {
	for i := range p.Pins {
		pin := &p.Pins[i]
		for _, u := range pin.Users {
			if u.group == "" && len(pin.Users) > 1 || u.group != pin.Users[0].group {
				pin.Conflict = true
			}
		}
		if pin.Conflict {
			p.notePin(pin, "is used by %s: a line has one use, so wire one of them elsewhere", pin.users(" and by "))
		}
	}
}

func (p *Pinout) notef(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

func (p *Pinout) notePin(pin *Pin, format string, args ...any) {
	p.notef("%s (pin %d) %s", pin.Name, pin.Pin, fmt.Sprintf(format, args...))
}

// inspect asks the board what others use its lines for.
func (p *Pinout) inspect(lines *lines) {
	if !lines.haveHeader() {
		p.notef("other uses of the lines are not known: %v", lines.err)
		return
	}
	for i := range p.Pins {
		pin := &p.Pins[i]
		if pin.BCM < 0 {
			continue
		}
		info, ok := lines.info(sensors.LineRef{BCM: pin.BCM})
		if !ok {
			p.notePin(pin, "can't be inspected: %v", lines.err)
			continue
		}
		p.inspectPin(pin, info)
	}
}

func (p *Pinout) inspectPin(pin *Pin, info board.LineInfo) {
	ours := func(u User) bool { return sameConsumer(info.Consumer, u.consumer) }
	if info.Held && !slices.ContainsFunc(pin.Users, ours) {
		pin.Holder = info.Holder()
	}
	f := info.Function
	if pin.Function == "" {
		pin.Function = f.String()
	}
	asLine := slices.DeleteFunc(slices.Clone(pin.Users), func(u User) bool { return u.consumer == "" })
	forced := !slices.ContainsFunc(asLine, func(u User) bool { return !u.force })
	switch {
	case len(asLine) == 0:
	case pin.Holder != "":
		pin.Conflict = true
		p.notePin(pin, "is held by %s: stop that, or wire %s to another line", pin.Holder, pin.users(" and "))
	case pin.Conflict || f.IsZero():
	case forced:
		p.notePin(pin, "%s", f.Forced())
	default:
		pin.Conflict = true
		p.notePin(pin, "%s", f.Refusal())
	}
}

// Peripheral is what is to be said of a claimed line that a peripheral has: why it
// would be refused, or what taking it by force does. Empty: nothing, or the board
// doesn't have the line.
func Peripheral(b board.Inspector, c sensors.Claim) string {
	if c.Kind != sensors.LineWire {
		return ""
	}
	info, err := b.LineInfo(c.Line)
	switch {
	case err != nil || info.Function.IsZero():
		return ""
	case c.Force:
		return fmt.Sprintf("line %s %s", c.Line, info.Function.Forced())
	}
	return fmt.Sprintf("line %s %s", c.Line, info.Function.Refusal())
}

// PeripheralWarnings are about the lines of a configuration that peripherals of
// the board have, with file, line and key.
func PeripheralWarnings(b board.Inspector, cfg *config.Config) (warnings []string) {
	warn := func(subject string, where config.Origin, c sensors.Claim) {
		if what := Peripheral(b, c); what != "" {
			p := &config.Problem{Origin: where, Subject: subject, Key: c.Option, Err: errors.New(what)}
			warnings = append(warnings, p.Error())
		}
	}
	for _, r := range cfg.Rails {
		c := r.Claim()
		if !r.Implicit {
			c.Option = "line"
		}
		warn("rail "+r.Name, r.Origin, c)
	}
	for _, sensor := range cfg.Sensors {
		for _, c := range sensor.Options.Claims() {
			warn("sensor "+sensor.Name, sensor.Origin, c)
		}
	}
	return warnings
}

// sameConsumer compares names of which the kernel keeps 31 bytes
// (GPIO_MAX_NAME_SIZE, linux/gpio.h).
func sameConsumer(shown, ours string) bool {
	const kept = 31
	return ours != "" && shown == ours[:min(kept, len(ours))]
}

// lines asks the board about its lines. Without a board nothing is known.
type lines struct {
	board  board.Inspector // nil: none
	header string          // the chip of the header, once it is known
	err    error           // the last failure
}

// haveHeader tells whether the board has a header.
func (l *lines) haveHeader() bool {
	if l.header != "" || l.board == nil {
		return l.header != ""
	}
	info, ok := l.info(sensors.LineRef{BCM: 2, Text: "GPIO2"})
	if ok {
		l.header = info.Chip
	}
	return ok
}

func (l *lines) info(ref sensors.LineRef) (board.LineInfo, bool) {
	if l.board == nil {
		return board.LineInfo{}, false
	}
	info, err := l.board.LineInfo(ref)
	if err != nil {
		l.err = err
	}
	return info, err == nil
}

// bcm is the number of a line on the header's chip, however it was named; -1
// where it is another chip's or not known.
func (l *lines) bcm(ref sensors.LineRef) int {
	if ref.BCM >= 0 || !l.haveHeader() {
		return ref.BCM
	}
	if info, ok := l.info(ref); ok && info.Chip == l.header {
		return info.Offset
	}
	return -1
}
