// Package i2c models an I2C bus and the chips on it, byte for byte, for a
// guest whose kernel reaches them through its stock i2c-tiny-usb driver.
//
// The models are written from the data sheets and share nothing with the
// drivers they test. Each behaves as the chip does over a bus: register
// pointers, power-on patterns, conversion times, a NACK while it is busy.
// Analogue effects and bus timing are not modelled.
package i2c

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Chip is a modelled device. Its methods are called under the bus's lock.
// A false result is a NACK of the chip's address.
type Chip interface {
	Write(now time.Time, p []byte) bool
	Read(now time.Time, p []byte) bool
	// Reset is a power-up: registers take their power-on values, what the
	// chip measures stays.
	Reset(now time.Time)
	// Set changes what the chip measures; names are the model's own.
	Set(values map[string]int) error
	// Memory is the chip's registers, to look into and to change behind its back.
	Memory() []byte
}

// Fault is a way to misbehave, of one address or of the whole bus.
type Fault string

// The faults. Zeros and Ones are a data line stuck low or high: everything is
// acknowledged and reads 0x00 or 0xFF. NACK answers nothing but keeps the
// chip's state. Hang lets no transfer end until the fault is lifted, and the
// kernel's driver gives each up after 2 s with EIO.
const (
	Healthy Fault = ""
	Zeros   Fault = "zeros"
	Ones    Fault = "ones"
	NACK    Fault = "nack"
	Hang    Fault = "hang"
)

// Transfer is one message that was on the bus.
type Transfer struct {
	At      time.Duration // of the guest's CLOCK_MONOTONIC
	Address uint16
	Read    bool
	Data    []byte
	NACK    bool `json:",omitempty"`
}

// maxLog bounds the record of a bus: the oldest transfers are dropped.
const maxLog = 4096

type slot struct {
	chip    Chip
	present bool
	fault   Fault
	powered func() bool // nil: always
	up      bool        // was powered and present at the last message
	prompt  bool
	ahead   time.Duration // how far this chip's time is ahead
}

// longest is longer than any chip takes for anything.
const longest = 10 * time.Second

// Bus is a bus with its chips.
type Bus struct {
	now  func() time.Time
	mono func() time.Duration

	mu     sync.Mutex
	slots  map[uint16]*slot
	fault  Fault
	lifted chan struct{} // closed when a Hang ends
	log    []Transfer
}

// NewBus returns an empty bus. mono stamps the record of transfers.
func NewBus(now func() time.Time, mono func() time.Duration) *Bus {
	return &Bus{now: now, mono: mono, slots: map[uint16]*slot{}, lifted: make(chan struct{})}
}

// Add puts a chip at an address. powered tells at each message whether its
// supply is on; a chip is reset at the first message after it was seen off.
func (b *Bus) Add(address uint16, c Chip, powered func() bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if address < 0x03 || address > 0x77 {
		return fmt.Errorf("no chip can live at 0x%02x", address)
	}
	if b.slots[address] != nil {
		return fmt.Errorf("0x%02x is taken", address)
	}
	b.slots[address] = &slot{chip: c, present: true, powered: powered}
	b.answering(address) // powers it up now, where its supply is on
	return nil
}

func (b *Bus) slot(address uint16) (*slot, error) {
	if s := b.slots[address]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("there is no chip at 0x%02x", address)
}

// SetPresent pulls a chip out, or puts it back freshly powered.
func (b *Bus) SetPresent(address uint16, present bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, err := b.slot(address)
	if err != nil {
		return err
	}
	s.present = present
	if !present {
		s.up = false
	}
	return nil
}

// SetFault makes one address misbehave, or with address 0 the whole bus.
func (b *Bus) SetFault(address uint16, f Fault) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f {
	case Healthy, Zeros, Ones, NACK:
	case Hang:
		if address != 0 {
			return fmt.Errorf("a chip can't hang alone: use address 0")
		}
	default:
		return fmt.Errorf("no fault is called %q", f)
	}
	if address == 0 {
		if b.fault == Hang && f != Hang {
			close(b.lifted)
			b.lifted = make(chan struct{})
		}
		b.fault = f
		return nil
	}
	s, err := b.slot(address)
	if err != nil {
		return err
	}
	s.fault = f
	return nil
}

// SetPrompt makes a chip have done by each message what the one before it asked
// for. That is for kernel drivers that sleep for a conversion's time and then
// take what the chip has: on a machine whose timer interrupts come late, they
// sleep for less.
func (b *Bus) SetPrompt(address uint16, prompt bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, err := b.slot(address)
	if err != nil {
		return err
	}
	s.prompt = prompt
	return nil
}

// time is what a chip takes for the time of a message.
func (b *Bus) time(s *slot) time.Time {
	if s.prompt {
		s.ahead += longest
	}
	return b.now().Add(s.ahead)
}

// With runs f on the chip at an address, under the bus's lock.
func (b *Bus) With(address uint16, f func(Chip) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, err := b.slot(address)
	if err != nil {
		return err
	}
	return f(s.chip)
}

// Transfers returns the record of the bus, oldest first, and forgets it.
func (b *Bus) Transfers() []Transfer {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.log
	b.log = nil
	return log
}

// Write carries a message to a chip; false is a NACK.
func (b *Bus) Write(address uint16, p []byte) bool {
	b.waitHang()
	b.mu.Lock()
	defer b.mu.Unlock()
	s, fault := b.answering(address)
	ok := fault == Zeros || fault == Ones
	if fault == Healthy && s != nil {
		ok = s.chip.Write(b.time(s), p)
	}
	b.record(Transfer{Address: address, Data: slices.Clone(p), NACK: !ok})
	return ok
}

// Read fills p from a chip; false is a NACK.
func (b *Bus) Read(address uint16, p []byte) bool {
	b.waitHang()
	b.mu.Lock()
	defer b.mu.Unlock()
	s, fault := b.answering(address)
	ok := false
	switch {
	case fault == Zeros:
		clear(p)
		ok = true
	case fault == Ones:
		ok = true
		for i := range p {
			p[i] = 0xff
		}
	case fault == Healthy && s != nil:
		ok = s.chip.Read(b.time(s), p)
	}
	t := Transfer{Address: address, Read: true, NACK: !ok}
	if ok {
		t.Data = slices.Clone(p)
	}
	b.record(t)
	return ok
}

// waitHang blocks while the bus hangs.
func (b *Bus) waitHang() {
	for {
		b.mu.Lock()
		hung, lifted := b.fault == Hang, b.lifted
		b.mu.Unlock()
		if !hung {
			return
		}
		<-lifted
	}
}

// answering finds who lives at an address, powers it up where it just came
// back, and the fault that stands in its way. A nil slot: nobody.
func (b *Bus) answering(address uint16) (*slot, Fault) {
	s := b.slots[address]
	if s != nil {
		on := s.present && (s.powered == nil || s.powered())
		if on && !s.up {
			s.chip.Reset(b.time(s))
		}
		s.up = on
		if !on {
			s = nil
		}
	}
	switch {
	case b.fault != Healthy:
		return s, b.fault
	case s != nil:
		return s, s.fault
	}
	return nil, Healthy
}

func (b *Bus) record(t Transfer) {
	t.At = b.mono()
	if len(b.log) == maxLog {
		b.log = slices.Delete(b.log, 0, maxLog/2)
	}
	b.log = append(b.log, t)
}
