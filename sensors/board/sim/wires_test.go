package sim

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/physic"
)

var (
	converter = sensors.Claim{Kind: sensors.SPIWire}
	dustPort  = sensors.Claim{Kind: sensors.SerialWire, Path: ParticlePort}
	fast      = sensors.SPIConfig{Speed: physic.MegaHertz}
	at9600    = sensors.SerialConfig{Baud: 9600}
)

func TestSPIOfTheBoard(t *testing.T) {
	b := New(alarm.NewFake(0, time.Time{}).Clock, 1)
	b.SetValues(func(sensors.Instant) Values { return Values{VaneVoltage: 1.65} })
	for _, c := range []sensors.Claim{{Kind: sensors.SPIWire, Select: 1}, {Kind: sensors.SPIWire, Bus: 1}} {
		if _, err := b.Open(c, fast); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "here: /dev/spidev0.0") {
			t.Errorf("%s: %v", c, err)
		}
	}
	if _, err := b.Open(converter, sensors.SPIConfig{}); err == nil {
		t.Error("without a speed it was opened")
	}
	w, err := b.Open(converter, fast)
	if err != nil {
		t.Fatal(err)
	}
	conn := w.(sensors.SPIConn)
	exchange := func(want uint16) {
		t.Helper()
		r := make([]byte, 3)
		if err := conn.Tx([]byte{1, 0x80, 0}, r); err != nil {
			t.Fatal(err)
		}
		if got := uint16(r[1]&7)<<8 | uint16(r[2]); got != want { // with the zero before it
			t.Errorf("it answers % x: 0x%03x, want 0x%03x", r, got, want)
		}
	}
	exchange(512)
	low := byte(0)
	b.StickMISO(SPIConverter, &low)
	exchange(0)
	b.StickMISO(SPIConverter, nil)
	b.RemoveSPI(SPIConverter, true)
	exchange(0x7ff)
	b.RemoveSPI(SPIConverter, false)
	exchange(512)
	if err := conn.Tx([]byte{1}, make([]byte, 2)); err == nil {
		t.Error("a message of two lengths was sent")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range []error{conn.Close(), conn.Tx([]byte{1}, nil)} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestSerialOfTheBoard(t *testing.T) {
	clock := alarm.NewFake(alarm.Instant(time.Hour), time.Time{})
	b := New(clock.Clock, 1)
	if _, err := b.Open(sensors.Claim{Kind: sensors.SerialWire, Path: "/dev/ttyUSB7"}, at9600); !errors.Is(err, unix.ENOENT) {
		t.Errorf("another port: %v", err)
	}
	w, err := b.Open(dustPort, at9600)
	if err != nil {
		t.Fatal(err)
	}
	port := w.(sensors.Serial)
	if _, err := b.Open(dustPort, at9600); sensors.ReasonOf(err) != sensors.Busy {
		t.Errorf("opened twice: %v", err)
	}
	// It sends once a second by itself, a byte each millisecond.
	head := make([]byte, 2)
	ended := make(chan error, 1)
	go func() {
		n, err := port.Read(t.Context(), head)
		if n != 1 {
			err = errors.New("not the first byte alone")
		}
		ended <- err
	}()
	for read := false; !read; {
		if next, ok := clock.Next(); ok {
			clock.Advance(next.Sub(clock.Now()))
		}
		select {
		case err := <-ended:
			read = true
			if err != nil || head[0] != 0x42 {
				t.Errorf("it read % x, %v", head, err)
			}
		default:
		}
	}
	if err := port.Discard(); err != nil {
		t.Error(err)
	}
	// Passive, it answers.
	if err := port.Write(t.Context(), []byte{0x42, 0x4d, 0xe1, 0, 0, 1, 0x70}); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := port.Read(gone, head); !errors.Is(err, context.Canceled) {
		t.Errorf("a read that was broken off: %v", err)
	}
	b.UnplugSerial(ParticlePort, true)
	if _, err := port.Read(t.Context(), head); sensors.ReasonOf(err) != sensors.NoAnswer || !errors.Is(err, unix.EIO) {
		t.Errorf("unplugged: %v", err)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
	if err := port.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := b.Open(dustPort, at9600); !errors.Is(err, unix.ENOENT) {
		t.Errorf("without the adapter: %v", err)
	}
	b.UnplugSerial(ParticlePort, false)
	if w, err = b.Open(dustPort, at9600); err != nil {
		t.Errorf("plugged in again: %v", err)
	} else if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestDevicesOfTheBoard(t *testing.T) {
	b := New(alarm.NewFake(0, time.Time{}).Clock, 1)
	for kind, want := range map[sensors.WireKind]string{sensors.SPIWire: "spi 0.0", sensors.SerialWire: "serial " + ParticlePort} {
		d, err := b.Devices(kind)
		if err != nil || len(d) != 1 || d[0].Claim.Key() != want {
			t.Errorf("%s: %v, %v", kind, d, err)
		}
	}
	if d, err := b.Devices(sensors.LineWire); len(d) > 0 || err != nil {
		t.Errorf("lines: %v, %v", d, err)
	}
	if _, err := b.Open(sensors.Claim{Kind: sensors.FileWire, Path: "/x"}, nil); err == nil {
		t.Error("a file was opened as a wire")
	}
	line := func(ref string) sensors.Claim {
		l, err := sensors.ParseLine(ref)
		if err != nil {
			t.Fatal(err)
		}
		return sensors.Claim{Kind: sensors.LineWire, Line: l}
	}
	a, ok := b.Identify(line("GPIO17"))
	c, okToo := b.Identify(line("gpiochip0:17"))
	if !ok || !okToo || a != c {
		t.Errorf("GPIO17 is %q, gpiochip0:17 is %q", a, c)
	}
	if id, ok := b.Identify(line("gpiochip3:1")); ok {
		t.Errorf("a line that isn't there is %q", id)
	}
	if id, ok := b.Identify(dustPort); ok {
		t.Errorf("a port is %q", id)
	}
}
