package onewire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"example.org/dormouse/test/guest/usbip"
)

func TestCRC(t *testing.T) {
	// The power-on scratchpad, and the ROM code of Maxim's application note 27.
	for _, c := range []struct {
		p    []byte
		want byte
	}{
		{[]byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}, 0x1c},
		{[]byte{0x02, 0x1c, 0xb8, 0x01, 0x00, 0x00, 0x00}, 0xa2},
	} {
		if got := crc8(c.p); got != c.want {
			t.Errorf("crc of % x is %02x, want %02x", c.p, got, c.want)
		}
	}
	if rom := ROM(0x0123456789ab); rom&0xff != 0x28 || rom>>8&(1<<48-1) != 0x0123456789ab {
		t.Errorf("ROM code %016x", rom)
	}
	if n := Name(0xab); n != "28-0000000000ab" {
		t.Errorf("name %s", n)
	}
}

func newBus(t *testing.T, raw ...int16) *Bus {
	t.Helper()
	b := NewBus()
	for i, r := range raw {
		if err := b.Set(uint64(i+1), r, false, false); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// transact resets the bus, writes p, and reads n bytes.
func transact(b *Bus, n int, p ...byte) []byte {
	b.Reset()
	for _, v := range p {
		b.Byte(v)
	}
	got := make([]byte, n)
	for i := range got {
		got[i] = b.Byte(0xff)
	}
	return got
}

func match(serial uint64, then ...byte) []byte {
	return append(binary.LittleEndian.AppendUint64([]byte{matchROM}, ROM(serial)), then...)
}

func TestThermometer(t *testing.T) {
	b := newBus(t, -162, 400) // −10.125 and 25 °C
	expect := func(name string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", name, got, want)
		}
	}
	powerOn := []byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0x1c}
	expect("before a conversion", transact(b, 9, match(1, readScratchpad)...), powerOn)
	transact(b, 0, skipROM, convertT)
	expect("first slave", transact(b, 2, match(1, readScratchpad)...), []byte{0x5e, 0xff})
	expect("second slave", transact(b, 2, match(2, readScratchpad)...), []byte{0x90, 0x01})
	expect("nobody", transact(b, 2, match(3, readScratchpad)...), []byte{0xff, 0xff})
	expect("no command", transact(b, 2, match(1, 0x99)...), []byte{0xff, 0xff})
	expect("no ROM command", transact(b, 2, 0x99, readScratchpad), []byte{0xff, 0xff})
	expect("own supply", transact(b, 1, match(1, readPowerSupply)...), []byte{0xff})

	// Nine bits, kept in the EEPROM across a power loss.
	transact(b, 0, match(1, writeScratchpad, 0x10, 0x20, 0x1f)...)
	transact(b, 0, match(1, copyScratchpad)...)
	transact(b, 0, match(1, convertT)...)
	expect("at 9 bits", transact(b, 5, match(1, readScratchpad)...), []byte{0x58, 0xff, 0x10, 0x20, 0x1f})
	for _, absent := range []bool{true, false} {
		if err := b.Set(1, -162, absent, false); err != nil {
			t.Fatal(err)
		}
		if absent {
			expect("pulled out", transact(b, 2, match(1, readScratchpad)...), []byte{0xff, 0xff})
		}
	}
	expect("put back", transact(b, 5, match(1, readScratchpad)...), []byte{0x50, 0x05, 0x10, 0x20, 0x1f})
	transact(b, 0, match(1, writeScratchpad, 1, 2, 0x7f)...)
	transact(b, 0, match(1, recallEEPROM)...)
	expect("recalled", transact(b, 5, match(1, readScratchpad)...)[2:], []byte{0x10, 0x20, 0x1f})

	if err := b.Set(2, 400, false, true); err != nil {
		t.Fatal(err)
	}
	if p := transact(b, 9, match(2, readScratchpad)...); crc8(p[:8]) == p[8] {
		t.Errorf("a bad checksum is right: % x", p)
	}
	if err := b.Set(1<<48, 0, false, false); err == nil || !strings.Contains(err.Error(), "48 bits") {
		t.Errorf("a serial number of 49 bits: %v", err)
	}
}

func TestReadROM(t *testing.T) {
	b := newBus(t, 0)
	if got := binary.LittleEndian.Uint64(transact(b, 8, readROM)); got != ROM(1) {
		t.Errorf("ROM code %016x, want %016x", got, ROM(1))
	}
}

type host struct {
	t *testing.T
	d *DS2490
}

func (h host) comm(value, index uint16) {
	h.t.Helper()
	if _, err := h.d.Control(usbip.Setup{Request: requestComm, Value: value, Index: index}, nil); err != nil {
		h.t.Fatal(err)
	}
}

func (h host) in(endpoint uint8, n int) []byte {
	h.t.Helper()
	p, err := h.d.In(endpoint, n)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h host) out(p ...byte) {
	h.t.Helper()
	if err := h.d.Out(endpointDataOut, p); err != nil {
		h.t.Fatal(err)
	}
}

// TestDS2490 plays the driver's own sequences, flags and all.
func TestDS2490(t *testing.T) {
	h := host{t, &DS2490{Bus: newBus(t, 400)}}
	h.comm(0x0043, 0) // reset
	h.out(match(1)...)
	h.comm(0x0075, 9) // block
	if got := h.in(endpointDataIn, 9); !bytes.Equal(got, match(1)) {
		t.Errorf("the block came back as % x", got)
	}
	h.comm(0x0053, convertT) // byte
	if got := h.in(endpointDataIn, 1); !bytes.Equal(got, []byte{convertT}) {
		t.Errorf("the byte came back as % x", got)
	}
	h.comm(0x0043, 0)
	h.comm(0x0053, skipROM)
	h.comm(0x0053, readScratchpad)
	h.out(bytes.Repeat([]byte{0xff}, 9)...)
	h.comm(0x0075, 9)
	if s := h.in(endpointStatus, 32); len(s) != 16 || s[8] != statusIdle || s[13] != 11 {
		t.Errorf("status % x", s)
	}
	if got := h.in(endpointDataIn, 64); !bytes.Equal(got[2:4], []byte{0x90, 0x01}) {
		t.Errorf("scratchpad % x", got[2:])
	}
	h.comm(0x0029, 0) // bit 1 on an idle line
	if got := h.in(endpointDataIn, 1); !bytes.Equal(got, []byte{1}) {
		t.Errorf("bit % x", got)
	}
	h.comm(0x0021, 0) // bit 0
	if got := h.in(endpointDataIn, 1); !bytes.Equal(got, []byte{0}) {
		t.Errorf("bit % x", got)
	}

	for name, err := range map[string]error{
		"block without data": func() error { _, err := h.d.Control(usbip.Setup{Request: 1, Value: 0x75, Index: 5}, nil); return err }(),
		"unknown command":    func() error { _, err := h.d.Control(usbip.Setup{Request: 1, Value: 0xa3}, nil); return err }(),
		"unknown request":    func() error { _, err := h.d.Control(usbip.Setup{Request: 7}, nil); return err }(),
		"wrong endpoint out": h.d.Out(3, nil),
		"wrong endpoint in":  func() error { _, err := h.d.In(2, 1); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDS2490SearchInPortions(t *testing.T) {
	h := host{t, &DS2490{Bus: newBus(t, make([]int16, 20)...)}}
	h.out(make([]byte, 8)...)
	h.comm(0x49fd, 0x40f0)
	if s := h.in(endpointStatus, 32); s[8] == statusIdle || s[13] != fifo {
		t.Errorf("status with 160 bytes waiting: % x", s)
	}
	found := append([]byte(nil), h.in(endpointDataIn, fifo)...)
	if s := h.in(endpointStatus, 32); s[8] != statusIdle || s[13] != 32 {
		t.Errorf("status with 32 bytes waiting: % x", s)
	}
	found = append(found, h.in(endpointDataIn, fifo)...)
	seen := map[uint64]bool{}
	for ; len(found) >= 8; found = found[8:] {
		seen[binary.LittleEndian.Uint64(found)] = true
	}
	for serial := uint64(1); serial <= 20; serial++ {
		if !seen[ROM(serial)] {
			t.Errorf("serial %d was not found", serial)
		}
	}
	h.out(1, 2, 3)
	if _, err := h.d.Control(usbip.Setup{Request: requestControl, Value: resetDevice}, nil); err != nil {
		t.Fatal(err)
	}
	if s := h.in(endpointStatus, 32); s[12] != 0 || s[13] != 0 {
		t.Errorf("status after a reset % x", s)
	}
}
