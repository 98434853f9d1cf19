package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.org/dormouse/test/rig/protocol"
)

// HeaderLabel is the label of a Pi 1 to 3's GPIO chip, by which programs find
// the header. A Pi 4's is pinctrl-bcm2711, a Pi 5's pinctrl-rp1.
const HeaderLabel = "pinctrl-bcm2835"

// HeaderLines are 54 line names as Raspberry Pi OS gives them to a Pi 3's
// chip: the header's 28, then those of the board.
func HeaderLines() []string {
	lines := []string{"ID_SDA", "ID_SCL"}
	for n := 2; n <= 27; n++ {
		lines = append(lines, "GPIO"+strconv.Itoa(n))
	}
	return append(lines, "HDMI_HPD_N", "STATUS_LED_G", "CTS0", "RTS0", "TXD0", "RXD0",
		"SD1_CLK", "SD1_CMD", "SD1_DATA0", "SD1_DATA1", "SD1_DATA2", "SD1_DATA3",
		"PWM0_OUT", "PWM1_OUT", "ETH_CLK", "WIFI_CLK", "SDA0", "SCL0", "SMPS_SCL", "SMPS_SDA",
		"SD_CLK_R", "SD_CMD_R", "SD_DATA0_R", "SD_DATA1_R", "SD_DATA2_R", "SD_DATA3_R")
}

// GPIOChip is a chip of the kernel's gpio-sim: programs in the guest see an
// ordinary GPIO chip, and the test holds the other end of its lines.
type GPIOChip struct {
	// Device is the chip's name: /dev/gpiochipN. It may change when the chip
	// returns after Remove.
	Device string
	// Base is the global number of line 0, by which the kernel's trace counts.
	Base int

	name string
	m    *Machine
}

// AddHeader makes the chip of a Pi's 40-pin header.
func (m *Machine) AddHeader(ctx context.Context) (*GPIOChip, error) {
	return m.AddGPIOChip(ctx, HeaderLabel, HeaderLines())
}

// AddGPIOChip makes a chip with a label and one name per line; "" leaves a
// line unnamed. All lines are pulled down.
func (m *Machine) AddGPIOChip(ctx context.Context, label string, lines []string) (*GPIOChip, error) {
	m.mu.Lock()
	m.buses++
	c := &GPIOChip{name: fmt.Sprintf("chip%d", m.buses), m: m}
	m.mu.Unlock()
	added, _, err := call[protocol.GPIOAdded](ctx, m, protocol.MethodGPIOAdd,
		protocol.GPIOChip{Name: c.name, Label: label, Lines: lines}, nil)
	c.Device, c.Base = added.Device, added.Base
	return c, err
}

// Remove takes the chip out of the system, whoever holds its lines.
func (c *GPIOChip) Remove(ctx context.Context) error {
	return c.m.do(ctx, protocol.MethodGPIOLive, protocol.GPIOLive{Name: c.name}, nil)
}

// Return brings a removed chip back, with all lines pulled down.
func (c *GPIOChip) Return(ctx context.Context) error {
	added, _, err := call[protocol.GPIOAdded](ctx, c.m, protocol.MethodGPIOLive, protocol.GPIOLive{Name: c.name, Live: true}, nil)
	c.Device, c.Base = added.Device, added.Base
	return err
}

// SetPull pulls a line up or down. An input follows; an output stays as it is
// driven.
func (c *GPIOChip) SetPull(ctx context.Context, line int, up bool) error {
	return c.m.do(ctx, protocol.MethodGPIOPull, protocol.GPIOPull{GPIOLine: c.line(line), Up: up}, nil)
}

// Value is a line's level: of an output as it is driven, of an input or a free
// line as it is pulled.
func (c *GPIOChip) Value(ctx context.Context, line int) (high bool, err error) {
	l, _, err := call[protocol.GPIOLevel](ctx, c.m, protocol.MethodGPIOValue, c.line(line), nil)
	return l.High, err
}

// Pulses makes n pulses on an input, from its level away and back, each half a
// period: 2n edges. A period of 0 is as fast as the guest can, some 20 µs an
// edge. It returns the guest's clocks after the last edge, and how long all
// took by them.
func (c *GPIOChip) Pulses(ctx context.Context, line, n int, period time.Duration) (GPIOPulsed, error) {
	pulsed, _, err := call[GPIOPulsed](ctx, c.m, protocol.MethodGPIOPulses,
		protocol.GPIOPulses{GPIOLine: c.line(line), Count: n, Period: period}, nil)
	return pulsed, err
}

// GPIOPulsed tells when pulses ended, and how long they took.
type GPIOPulsed = protocol.GPIOPulsed

// Hold requests a line as an input, as another program would, until Drop.
func (c *GPIOChip) Hold(ctx context.Context, line int, consumer string) error {
	return c.m.do(ctx, protocol.MethodGPIOHold, protocol.GPIOHold{GPIOLine: c.line(line), Consumer: consumer}, nil)
}

// Drop releases a held line.
func (c *GPIOChip) Drop(ctx context.Context, line int) error {
	return c.m.do(ctx, protocol.MethodGPIODrop, c.line(line), nil)
}

func (c *GPIOChip) line(n int) protocol.GPIOLine { return protocol.GPIOLine{Chip: c.name, Line: n} }

// GPIOEvent is a line of the kernel's own record of its GPIO lines.
type GPIOEvent struct {
	At   time.Duration // CLOCK_MONOTONIC
	Task string        // who did it: the thread's name
	TID  int
	GPIO int // global number: a chip's Base and the line
	// Direction is set for a change of direction, else the event is a value.
	Direction bool
	// Out tells of a direction that the line became an output, of a value that
	// it was written rather than read.
	Out bool
	// High is a value's level.
	High bool
	// Err is what a failed change of direction returned, negative.
	Err int
}

// GPIOTrace records what happens to every GPIO line.
type GPIOTrace struct{ m *Machine }

// TraceGPIO begins to record. A machine has one trace at a time.
func (m *Machine) TraceGPIO(ctx context.Context) (*GPIOTrace, error) {
	if err := m.TraceStart(ctx, "gpio"); err != nil {
		return nil, err
	}
	return &GPIOTrace{m}, nil
}

// Stop ends the record and returns it, oldest first.
func (t *GPIOTrace) Stop(ctx context.Context) ([]GPIOEvent, error) {
	text, err := t.m.TraceStop(ctx)
	if err != nil {
		return nil, err
	}
	return parseGPIOTrace(text)
}

// TraceStart records trace events ("gpio", "sched/sched_wakeup"), stamped by
// CLOCK_MONOTONIC.
func (m *Machine) TraceStart(ctx context.Context, events ...string) error {
	return m.do(ctx, protocol.MethodTraceStart, protocol.Trace{Events: events}, nil)
}

// TraceStop ends the record and returns the text of tracefs.
func (m *Machine) TraceStop(ctx context.Context) ([]byte, error) {
	_, text, err := call[struct{}](ctx, m, protocol.MethodTraceStop, nil, nil)
	return text, err
}

// Line picks the events of one line out of a trace.
func (c *GPIOChip) Line(events []GPIOEvent, line int) []GPIOEvent {
	var own []GPIOEvent
	for _, e := range events {
		if e.GPIO == c.Base+line {
			own = append(own, e)
		}
	}
	return own
}

// parseGPIOTrace reads lines such as
//
//	dormouse-71      [000] .....    12.345678: gpio_value: 475 set 1
//	dormouse-71      [000] .....    12.345679: gpio_direction: 475 out (0)
//
// A buffer that overflowed is an error: its record isn't whole.
func parseGPIOTrace(text []byte) ([]GPIOEvent, error) {
	events := []GPIOEvent{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.Contains(line, "LOST") {
			return nil, fmt.Errorf("the trace buffer overflowed: %s", line)
		}
		e, err := parseGPIOEvent(line)
		if err != nil {
			return nil, fmt.Errorf("trace line %q: %w", line, err)
		}
		events = append(events, e)
	}
	return events, lines.Err()
}

func parseGPIOEvent(line string) (e GPIOEvent, err error) {
	head, what, ok := strings.Cut(line, ": gpio_")
	task, rest, bracket := strings.Cut(head, "[")
	fields := strings.Fields(rest)
	if !ok || !bracket || len(fields) < 2 {
		return e, errors.New("not an event of a GPIO line")
	}
	// The name may hold dashes and blanks; the number follows the last dash.
	task = strings.TrimSpace(task)
	dash := strings.LastIndexByte(task, '-')
	if dash < 0 {
		return e, errors.New("no thread number")
	}
	e.Task = task[:dash]
	if e.TID, err = strconv.Atoi(task[dash+1:]); err != nil {
		return e, err
	}
	seconds, microseconds, _ := strings.Cut(fields[len(fields)-1], ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return e, err
	}
	us, err := strconv.ParseInt(microseconds, 10, 64)
	if err != nil {
		return e, err
	}
	e.At = time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond

	var kind, verb string
	var n int
	if _, err := fmt.Sscanf(what, "%s %d %s", &kind, &e.GPIO, &verb); err != nil {
		return e, err
	}
	_, last, _ := strings.Cut(what, verb)
	if n, err = strconv.Atoi(strings.Trim(last, " ()")); err != nil {
		return e, err
	}
	switch kind {
	case "direction:":
		e.Direction, e.Out, e.Err = true, strings.TrimSpace(verb) == "out", n
	case "value:":
		e.Out, e.High = verb == "set", n == 1
	default:
		return e, fmt.Errorf("unknown event gpio_%s", kind)
	}
	return e, nil
}
