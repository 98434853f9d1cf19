package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

func definePinout(c *syntax) command {
	s := &settings{}
	s.wiringFlags(c)
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		cfg, configErr, err := s.draft()
		if err != nil {
			return err
		}
		clock, err := alarm.New()
		if err != nil {
			return err
		}
		defer clock.Close()
		var here board.Inspector
		if b, ok := openBoard(s.board, clock).(board.Inspector); ok {
			here = b
		}
		if err := newPinout(cfg, here).draw(stdout, colourful(stdout)); err != nil {
			return err
		}
		return configErr
	}
}

// draft is the configuration as far as it is understood, with all that is
// wrong with it. Without any the header is drawn as it is.
func (s *settings) draft() (cfg *sensors.Config, configErr, err error) {
	if s.configFile == "" && len(s.sensors) == 0 && len(s.rails) == 0 {
		return &sensors.Config{}, nil, nil
	}
	data, err := s.readConfigFile()
	if err != nil {
		return nil, nil, err
	}
	cfg, err = sensors.Draft(s.source(data))
	if err != nil {
		configErr = &configError{err}
	}
	return cfg, configErr, nil
}

// colourful tells whether w is a terminal whose user wants colours: NO_COLOR is
// that of no-color.org.
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// A pinout is the header and what is to be said of it.
type pinout struct {
	pins      [len(sensors.Header)]headerPin
	elsewhere []string // what is wired to lines that aren't on the header
	notes     []string // what can't be, and why
}

// headerPin is one pin with who is on it.
type headerPin struct {
	sensors.HeaderPin
	users    []lineUser
	function string // that it has at present instead of being a line: "SDA of I2C bus 1"
	holder   string // who holds it, other than its user
	trouble  bool
}

// A lineUser is a sensor or rail of the configuration on a line.
type lineUser struct {
	label    string // "door", "sonar echo", "rail probes"
	consumer string // as the kernel would show it
	same     string // equal for those that may share: sensors of one chip
}

// newPinout finds out who is where. Where here isn't nil the board is asked who
// holds its lines; nothing is taken from it.
func newPinout(cfg *sensors.Config, here board.Inspector) *pinout {
	p := &pinout{}
	for i, pin := range sensors.Header {
		p.pins[i].HeaderPin = pin
	}
	p.buses(cfg)
	look := &look{here: here}
	for _, r := range cfg.Rails {
		user := lineUser{label: "rail " + r.Name, consumer: "dormouse " + r.Name}
		if r.Implicit {
			user.label = "power of " + strings.Join(poweredBy(cfg, r), ", ")
		}
		p.use(r.Line, user, look)
	}
	for _, s := range cfg.Sensors {
		lines := s.Lines()
		for _, l := range lines {
			user := lineUser{label: s.Name, consumer: "dormouse " + s.Name}
			if len(lines) > 1 {
				user.label += " " + l.Option
			}
			if bus, addr, ok := s.I2C(); ok {
				user.same = fmt.Sprint(s.Driver.Name, bus, addr)
			}
			p.use(l.Line, user, look)
		}
	}
	p.twice()
	if here != nil {
		p.look(look)
	}
	return p
}

func poweredBy(cfg *sensors.Config, r *sensors.RailConfig) []string {
	var names []string
	for _, s := range cfg.Sensors {
		if s.Rail == r {
			names = append(names, s.Name)
		}
	}
	return names
}

// The pins of the header's functions: the documentation of Raspberry Pi, "GPIO
// and the 40-pin header". Those of other buses differ between the models.
var (
	i2cPins    = map[sensors.Bus][]int{0: {0, 1}, 1: {2, 3}}
	i2cWires   = []string{"SDA", "SCL"}
	spiPins    = map[int]string{9: "MISO", 10: "MOSI", 11: "SCLK"}
	spiSelects = []int{8, 7} // CE0, CE1
	uartPins   = map[int]string{14: "TXD", 15: "RXD"}
)

// buses marks the wires of the I2C buses that sensors are on.
func (p *pinout) buses(cfg *sensors.Config) {
	on := map[sensors.Bus][]string{}
	var order []sensors.Bus
	for _, s := range cfg.Sensors {
		if bus, _, ok := s.I2C(); ok {
			if on[bus] == nil {
				order = append(order, bus)
			}
			on[bus] = append(on[bus], s.Name)
		}
	}
	for _, bus := range order {
		label := fmt.Sprintf("%s: %s", bus, strings.Join(on[bus], ", "))
		pins := i2cPins[bus]
		if pins == nil {
			p.elsewhere = append(p.elsewhere, label)
		}
		for i, bcm := range pins {
			pin := p.bcm(bcm)
			pin.function = fmt.Sprintf("%s of %s", i2cWires[i], bus)
			pin.users = append(pin.users, lineUser{label: i2cWires[i] + " of " + label, same: label})
		}
	}
}

// bcm is the pin of a line; nil where it has none.
func (p *pinout) bcm(n int) *headerPin {
	for i := range p.pins {
		if p.pins[i].BCM == n && n >= 0 {
			return &p.pins[i]
		}
	}
	return nil
}

// use puts a user on its line.
func (p *pinout) use(ref sensors.LineRef, user lineUser, look *look) {
	pin := p.bcm(look.bcm(ref))
	if pin == nil {
		text := fmt.Sprintf("%s: %s", ref, user.label)
		if info, ok := look.info(ref); ok {
			text += fmt.Sprintf(" (%s line %d)", info.Chip, info.Offset)
			if info.Held && !sameConsumer(info.Consumer, user.consumer) {
				p.notes = append(p.notes, fmt.Sprintf("%s is held by %s: stop that, or wire %s to another line", ref, heldBy(info), user.label))
			}
		} else if look.err != nil && ref.BCM < 0 && look.header() {
			p.notes = append(p.notes, look.err.Error())
		}
		p.elsewhere = append(p.elsewhere, text)
		return
	}
	pin.users = append(pin.users, user)
}

// twice notes each line that has two users.
func (p *pinout) twice() {
	for i := range p.pins {
		pin := &p.pins[i]
		for _, u := range pin.users {
			if u.same == "" && len(pin.users) > 1 || u.same != pin.users[0].same {
				pin.trouble = true
			}
		}
		if pin.trouble {
			p.note(pin, "is used by %s: a line has one use, so wire one of them elsewhere", pin.who(" and by "))
		}
	}
}

func (p *pinout) note(pin *headerPin, format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf("%s (pin %d) %s", pin.Name, pin.Pin, fmt.Sprintf(format, args...)))
}

// look asks the board what its lines are used for by others.
func (p *pinout) look(look *look) {
	if !look.header() {
		p.notes = append(p.notes, fmt.Sprintf("what else uses the lines isn't known here: %v", look.err))
		return
	}
	p.functions(look.here)
	for i := range p.pins {
		pin := &p.pins[i]
		if pin.BCM < 0 {
			continue
		}
		info, ok := look.info(sensors.LineRef{BCM: pin.BCM})
		if !ok {
			p.note(pin, "can't be looked at: %v", look.err)
			continue
		}
		if info.Held && !slices.ContainsFunc(pin.users, func(u lineUser) bool { return sameConsumer(info.Consumer, u.consumer) }) {
			pin.holder = heldBy(info)
		}
		users := slices.DeleteFunc(slices.Clone(pin.users), func(u lineUser) bool { return u.consumer == "" })
		switch {
		case len(users) == 0:
		case pin.holder != "":
			pin.trouble = true
			p.note(pin, "is held by %s: stop that, or wire %s to another line", pin.holder, pin.who(" and "))
		case pin.function != "" && !pin.trouble:
			pin.trouble = true
			p.note(pin, "is %s at present: switch that off in config.txt, or wire %s to another line", pin.function, pin.who(" and "))
		}
	}
}

// functions finds out which pins aren't lines at present, by the devices that
// exist.
func (p *pinout) functions(here board.Inspector) {
	buses, err := here.Buses()
	if err != nil {
		p.notes = append(p.notes, fmt.Sprintf("which I2C buses there are isn't known: %v", err))
	}
	for _, bus := range buses {
		for i, bcm := range i2cPins[bus] {
			p.bcm(bcm).function = fmt.Sprintf("%s of %s", i2cWires[i], bus)
		}
	}
	for i, bcm := range spiSelects {
		if p.exists(here, fmt.Sprintf("/dev/spidev0.%d", i)) {
			p.bcm(bcm).function = fmt.Sprintf("CE%d of SPI bus 0", i)
			for bcm, wire := range spiPins {
				p.bcm(bcm).function = wire + " of SPI bus 0"
			}
		}
	}
	if p.exists(here, "/dev/serial0") { // the link to the header's UART, made by Raspberry Pi OS
		for bcm, wire := range uartPins {
			p.bcm(bcm).function = wire + " of the serial port"
		}
	}
}

func (p *pinout) exists(here board.Inspector, path string) bool {
	found, err := here.Files().Glob(path)
	if err != nil {
		p.notes = append(p.notes, fmt.Sprintf("whether there is %s isn't known: %v", path, err))
	}
	return len(found) > 0
}

func heldBy(info board.LineInfo) string {
	if info.Consumer == "" {
		return "the kernel or somebody who gave no name"
	}
	return fmt.Sprintf("%q", info.Consumer)
}

// sameConsumer compares names of which the kernel keeps 31 bytes
// (GPIO_MAX_NAME_SIZE, linux/gpio.h).
func sameConsumer(shown, ours string) bool {
	const kept = 31
	return ours != "" && shown == ours[:min(kept, len(ours))]
}

// A look is how the board is looked at: once per line, and not at all where
// there is none.
type look struct {
	here board.Inspector // nil: there is none
	chip string          // of the header
	err  error           // why there is nothing to see
}

// header tells whether the board has a header.
func (l *look) header() bool {
	if l.chip != "" || l.here == nil {
		return l.chip != ""
	}
	info, ok := l.info(sensors.LineRef{BCM: 2, Text: "GPIO2"})
	if ok {
		l.chip = info.Chip
	}
	return ok
}

func (l *look) info(ref sensors.LineRef) (board.LineInfo, bool) {
	if l.here == nil {
		return board.LineInfo{}, false
	}
	info, err := l.here.LineInfo(ref)
	if err != nil {
		l.err = err
	}
	return info, err == nil
}

// bcm is the number on the header's chip of a line, however it was named; -1
// where it is another chip's or not known.
func (l *look) bcm(ref sensors.LineRef) int {
	if ref.BCM >= 0 || !l.header() {
		return ref.BCM
	}
	if info, ok := l.info(ref); ok && info.Chip == l.chip {
		return info.Offset
	}
	return -1
}

// who are the users of the pin.
func (pin *headerPin) who(and string) string {
	var labels []string
	for _, u := range pin.users {
		labels = append(labels, u.label)
	}
	return strings.Join(labels, and)
}

// text is what stands beside the pin's name.
func (pin *headerPin) text() string {
	switch {
	case len(pin.users) > 0:
		return pin.who(" / ")
	case pin.function != "":
		return pin.function
	case pin.holder != "":
		return "held by " + pin.holder
	}
	return ""
}

// The marks of pins, with what they mean, and their colours: SGR sequences of
// ECMA-48, section 8.3.117.
const (
	markUsed    = "●"
	markTrouble = "!"
	markOther   = "x"
	markFree    = "·"
	markSupply  = "+"
	markGround  = "-"
)

var marks = []struct{ mark, means, colour string }{
	{markUsed, "used", "32"},
	{markTrouble, "see below", "1;31"},
	{markOther, "taken by something else", "36"},
	{markFree, "free", "2"},
	{markSupply, "supply", "31"},
	{markGround, "ground", "2"},
}

func (pin *headerPin) mark() string {
	switch {
	case pin.Name == "GND":
		return markGround
	case pin.BCM < 0:
		return markSupply
	case pin.trouble:
		return markTrouble
	case len(pin.users) > 0:
		return markUsed
	case pin.function != "" || pin.holder != "":
		return markOther
	}
	return markFree
}

func paint(text, mark string, colour bool) string {
	for _, m := range marks {
		if m.mark == mark && colour && strings.TrimSpace(text) != "" {
			return "\x1b[" + m.colour + "m" + text + "\x1b[0m"
		}
	}
	return text
}

// widest is how much of a pin's text is shown: two of them and the header fit
// into a usual terminal.
const widest = 34

func clip(text string) string {
	if utf8.RuneCountInString(text) <= widest {
		return text
	}
	return string([]rune(text)[:widest-1]) + "…"
}

// draw shows the header as one looks at the Pi with the header at the upper
// right, pin 1 at the top left; below, what isn't on it, and what can't be.
func (p *pinout) draw(w io.Writer, colour bool) error {
	width := 0
	for i := 0; i < len(p.pins); i += 2 {
		width = max(width, utf8.RuneCountInString(clip(p.pins[i].text())))
	}
	var b strings.Builder
	for i := 0; i < len(p.pins); i += 2 {
		left, right := &p.pins[i], &p.pins[i+1]
		l, r := left.mark(), right.mark()
		text := clip(left.text())
		fmt.Fprintf(&b, "%s%s  %s %s %2d  %-2d %s %s", strings.Repeat(" ", width-utf8.RuneCountInString(text)),
			paint(text, l, colour), paint(fmt.Sprintf("%6s", left.Name), l, colour), paint(l, l, colour), left.Pin,
			right.Pin, paint(r, r, colour), paint(right.Name, r, colour))
		if text := clip(right.text()); text != "" {
			b.WriteString(strings.Repeat(" ", 6-len(right.Name)) + "  " + paint(text, r, colour))
		}
		b.WriteByte('\n')
	}
	p.legend(&b, colour)
	for _, list := range []struct {
		title string
		lines []string
	}{{"Not on the header:", p.elsewhere}, {"To be looked at:", p.notes}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n  %s\n", list.title, strings.Join(list.lines, "\n  "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// legend explains the marks that occur.
func (p *pinout) legend(b *strings.Builder, colour bool) {
	var parts []string
	for _, m := range marks {
		if slices.ContainsFunc(p.pins[:], func(pin headerPin) bool { return pin.mark() == m.mark }) {
			parts = append(parts, paint(m.mark, m.mark, colour)+" "+m.means)
		}
	}
	fmt.Fprintf(b, "\n%s\n", strings.Join(parts, "   "))
}
