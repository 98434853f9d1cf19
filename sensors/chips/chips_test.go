package chips

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c/i2ctest"
)

// io is one transaction of the chip under test.
type io struct{ w, r []byte }

func b(p ...byte) []byte { return p }

// playback is a chip that expects exactly these transactions.
func playback(addr uint16, sessions ...[]io) *i2ctest.Playback {
	p := &i2ctest.Playback{DontPanic: true}
	for _, session := range sessions {
		for _, o := range session {
			p.Ops = append(p.Ops, i2ctest.IO{Addr: addr, W: o.w, R: o.r})
		}
	}
	return p
}

// played fails the test unless every expected transaction was made.
func played(t *testing.T, p *i2ctest.Playback) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// isError checks the class of an error and that its message says so much.
func isError(t *testing.T, err error, reason sensors.Reason, says string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("no error, want one of the class %s with %q", reason, says)
	case sensors.ReasonOf(err) != reason:
		t.Errorf("the error %q is of the class %s, not %s", err, sensors.ReasonOf(err), reason)
	case !strings.Contains(err.Error(), says):
		t.Errorf("the error is %q and doesn't say %q", err, says)
	}
}

// cancelled checks that a read whose context ends in the wait number at says
// so, having made exactly the transactions of ops.
func cancelled(t *testing.T, driver string, texts map[string]string, at int, addr uint16, ops ...[]io) {
	t.Helper()
	d := sensortest.Driver(t, driver)
	e := sensortest.New(t, d, texts)
	p := playback(addr, ops...)
	e.Bus = p
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e.OnWait = func(n int) {
		if n == at {
			cancel()
		}
	}
	if _, _, err := sensortest.ReadContext(ctx, t, d, e); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want %v", err, context.Canceled)
	}
	played(t, p)
}

func total(waits []time.Duration) (sum time.Duration) {
	for _, w := range waits {
		sum += w
	}
	return sum
}

func TestNoAnswerNamesTheOtherAddresses(t *testing.T) {
	for _, tc := range []struct{ driver, addr, says string }{
		{"bme280", "0x76", "the chip can also be set to addr=0x77"},
		{"sht4x", "0x45", "addr=0x44 or addr=0x46"},
	} {
		d := sensortest.Driver(t, tc.driver)
		e := sensortest.New(t, d, map[string]string{"addr": tc.addr})
		e.Bus = sensortest.Chip(func(w, r []byte) error { return sensortest.ErrNACK })
		_, _, err := sensortest.Read(t, d, e)
		isError(t, err, sensors.NoAnswer, tc.says)
		if !errors.Is(err, sensortest.ErrNACK) {
			t.Errorf("the error %q has lost what the bus said", err)
		}
	}
}
