package sensortest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// mostTransactions bounds the builds and reads of one try of any driver.
const mostTransactions = 1000

// An alteration does to transaction n what the fault wants; do makes it, with
// what is written, and fills r with the healthy answer.
type alteration func(n int, w, r []byte, do func(w []byte) error) error

// A tamper does to each transaction with one chip what the fault wants, on
// whatever wire it is made.
type tamper struct {
	t     testing.TB
	count int
	alter alteration
	stuck *byte                   // all that anybody reads
	raw   func(w, r []byte) error // a transaction without a fault

	cancelled bool
	after     int // transactions since
}

func (b *tamper) transact(w, r []byte) error {
	n := b.count
	b.count++
	if b.cancelled {
		b.after++
	}
	if b.count > mostTransactions {
		b.t.Fatalf("more than %d transactions: the driver reads without end", mostTransactions)
	}
	do := func(w []byte) error { return b.raw(w, r) }
	if b.alter == nil {
		b.stuck = nil
		return do(w)
	}
	return b.alter(n, w, r, do)
}

// A faultBus has one chip, which a fault tampers with.
type faultBus struct {
	*tamper
	bus  i2c.Bus
	addr uint16
}

func (b *faultBus) String() string                    { return b.bus.String() }
func (b *faultBus) SetSpeed(f physic.Frequency) error { return b.bus.SetSpeed(f) }
func (b *faultBus) Close() error                      { return nil }

func (b *faultBus) Tx(addr uint16, w, r []byte) error {
	if addr != b.addr { // package board asks where nobody lives
		if b.stuck != nil {
			return Stuck(*b.stuck)(w, r)
		}
		return ErrNACK
	}
	return b.transact(w, r)
}

// watch counts the transactions from cancel on.
func (b *tamper) watch(cancel context.CancelFunc) context.CancelFunc {
	return func() {
		b.cancelled = true
		cancel()
	}
}

func (b *tamper) atMostOneMore() error {
	if b != nil && b.after > 1 {
		return fmt.Errorf("%d transactions after the context ended: at most one may be", b.after)
	}
	return nil
}

func busFault(kind Kind, alter alteration, format string, args ...any) Fault {
	return Fault{Name: fmt.Sprintf(format, args...), kind: kind, Break: func(e *Env) { e.faults.alter = alter }}
}

// Answer changes what the chip answers to what is written, until the fault is
// over: for the faults of a Case.
func (e *Env) Answer(change func(w, r []byte)) {
	e.faults.alter = func(_ int, w, r []byte, do func([]byte) error) error {
		err := do(w)
		if err == nil && len(w) > 0 {
			change(w, r)
		}
		return err
	}
}

// busFaults break each transaction of the healthy reads in turn.
func (h *harness) busFaults() []Fault {
	var faults []Fault
	for at, m := range h.made {
		faults = append(faults, cancelAt(at),
			busFault(NoAnswer, func(n int, w, r []byte, do func([]byte) error) error {
				if n == at {
					return ErrNACK
				}
				return do(w)
			}, "transaction %d isn't answered", at),
			busFault(NoAnswer, func(n int, w, r []byte, do func([]byte) error) error {
				if n >= at {
					return ErrNACK
				}
				return do(w)
			}, "nobody answers from transaction %d on", at),
			stuckFrom(at, 0x00), stuckFrom(at, 0xff))
		if m.wrote > 0 {
			faults = append(faults, writeFaults(at, m)...)
		}
		if m.read > 0 {
			faults = append(faults, bitFaults(at, m)...)
			faults = append(faults, shiftFaults(at, m)...)
			faults = append(faults, h.randomFaults(at)...)
		}
		faults = append(faults, h.betweenFaults(at)...)
	}
	return faults
}

// cancelAt ends the context during a transaction.
func cancelAt(at int) Fault {
	var bus *tamper
	return Fault{
		Name: fmt.Sprintf("context ended in transaction %d", at), kind: ContextEnds,
		Break: func(e *Env) {
			bus = e.faults
			e.cancel = bus.watch(e.cancel)
			bus.alter = func(n int, w, _ []byte, do func([]byte) error) error {
				if n == at {
					e.Cancel()
				}
				return do(w)
			}
		},
		after: func(err error) error { return bus.atMostOneMore() },
	}
}

// stuckFrom lets SDA hang: every address answers, and reads level.
func stuckFrom(at int, level byte) Fault {
	return Fault{Name: fmt.Sprintf("bus stuck at 0x%02X from transaction %d on", level, at), kind: StuckBus, Break: func(e *Env) {
		bus := e.faults
		bus.alter = func(n int, w, r []byte, do func([]byte) error) error {
			if n < at {
				return do(w)
			}
			bus.stuck = &level
			return Stuck(level)(w, r)
		}
	}}
}

// writeFaults lose what is written, or flip each bit of it.
func writeFaults(at int, m made) []Fault {
	faults := []Fault{busFault(LostWrite, func(n int, w, r []byte, do func([]byte) error) error {
		switch {
		case n != at:
			return do(w)
		case len(r) == 0:
			return nil
		}
		return do(nil)
	}, "what transaction %d writes is lost", at)}
	for bit := range 8 * m.wrote {
		faults = append(faults, busFault(WrittenBit, func(n int, w, r []byte, do func([]byte) error) error {
			if n != at || bit/8 >= len(w) {
				return do(w)
			}
			flipped := append([]byte(nil), w...)
			flipped[bit/8] ^= 1 << (bit % 8)
			return do(flipped)
		}, "bit %d of byte %d that transaction %d writes flipped", bit%8, bit/8, at))
	}
	return faults
}

// mostPairs is how many pairs of bits of one answer are flipped: all of a
// short one, some by chance of a longer.
const mostPairs = 48

// bitFaults flip each bit of an answer, and pairs of them.
func bitFaults(at int, m made) []Fault {
	flip := func(kind Kind, name string, bits ...int) Fault {
		return busFault(kind, func(n int, w, r []byte, do func([]byte) error) error {
			err := do(w)
			for _, bit := range bits {
				if n == at && err == nil && bit/8 < len(r) {
					r[bit/8] ^= 1 << (bit % 8)
				}
			}
			return err
		}, "%s of answer %d flipped", name, at)
	}
	var faults []Fault
	for bit := range 8 * m.read {
		faults = append(faults, flip(OneBit, fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), bit))
	}
	var pairs [][2]int
	for a := range 8 * m.read {
		for b := range a {
			pairs = append(pairs, [2]int{a, b})
		}
	}
	// The same ones each time.
	random := rand.New(rand.NewPCG(uint64(at), uint64(m.read)))
	random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	for _, p := range pairs[:min(len(pairs), mostPairs)] {
		faults = append(faults, flip(TwoBits, fmt.Sprintf("bits %d and %d of bytes %d and %d", p[0]%8, p[1]%8, p[0]/8, p[1]/8), p[0], p[1]))
	}
	return faults
}

// shiftFaults lose the first byte of an answer, or have one too many, or end
// it early: what nobody drives reads 0xFF, and a line that hangs 0x00.
func shiftFaults(at int, m made) []Fault {
	answer := func(kind Kind, change func(r []byte), format string, args ...any) Fault {
		return busFault(kind, func(n int, w, r []byte, do func([]byte) error) error {
			err := do(w)
			if n == at && err == nil {
				change(r)
			}
			return err
		}, format, args...)
	}
	var faults []Fault
	for _, fill := range []byte{0x00, 0xff} {
		faults = append(faults,
			answer(Shifted, func(r []byte) {
				copy(r, r[1:])
				r[len(r)-1] = fill
			}, "answer %d without its first byte, then 0x%02X", at, fill),
			answer(Shifted, func(r []byte) {
				copy(r[1:], r)
				r[0] = fill
			}, "answer %d after a 0x%02X", at, fill))
		for from := range m.read {
			answered := func(r []byte) {
				for i := min(from, len(r)); i < len(r); i++ {
					r[i] = fill
				}
			}
			faults = append(faults, answer(Short, answered, "answer %d ends after %d bytes, then 0x%02X", at, from, fill))
		}
	}
	return faults
}

// How many random answers are tried in the place of one.
const (
	fewRandom  = 32
	manyRandom = 1024
)

// randomFaults replace an answer by random bytes, the same ones each time.
func (h *harness) randomFaults(at int) []Fault {
	n, kind := fewRandom, Random
	if h.c.Undetected > 0 {
		n, kind = manyRandom, Guessed
	}
	faults := make([]Fault, n)
	for i := range faults {
		faults[i] = busFault(kind, func(n int, w, r []byte, do func([]byte) error) error {
			err := do(w)
			if n == at && err == nil {
				random := rand.New(rand.NewPCG(uint64(at), uint64(i)))
				for j := range r {
					r[j] = byte(random.Uint32())
				}
			}
			return err
		}, "answer %d is random, number %d", at, i)
	}
	return faults
}

// betweenFaults happen before a transaction: the chip starts anew, or another
// program uses it.
func (h *harness) betweenFaults(at int) []Fault {
	before := func(kind Kind, what func(e *Env), format string, args ...any) Fault {
		f := Fault{Name: fmt.Sprintf(format, args...), kind: kind}
		f.Break = func(e *Env) {
			e.faults.alter = func(n int, w, r []byte, do func([]byte) error) error {
				if n == at {
					what(e)
				}
				return do(w)
			}
		}
		return f
	}
	var faults []Fault
	if h.c.Reset != nil {
		faults = append(faults, before(ChipReset, h.c.Reset, "the chip is reset before transaction %d", at))
	}
	for _, o := range h.c.Others {
		faults = append(faults, before(Another, func(e *Env) {
			// Whether the chip takes it isn't this program's business.
			_ = e.faults.raw(o.Write, make([]byte, o.Read))
		}, "another program writes % x and reads %d bytes before transaction %d", o.Write, o.Read, at))
	}
	return faults
}
