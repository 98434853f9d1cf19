package i2c

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/test/guest/usbip"
)

// clock stands still unless it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) forward(d time.Duration) { c.t = c.t.Add(d) }

func newBus(t *testing.T, address uint16, s Spec) (*Bus, *clock) {
	t.Helper()
	c := &clock{time.Unix(1000, 0)}
	b := NewBus(c.now, func() time.Duration { return c.t.Sub(time.Unix(1000, 0)) })
	chip, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(address, chip, nil); err != nil {
		t.Fatal(err)
	}
	return b, c
}

// step is one message: a write, or a read with what must come.
type step struct {
	wait  time.Duration // before it
	write []byte
	read  []byte
	nack  bool
}

func play(t *testing.T, b *Bus, c *clock, address uint16, steps []step) {
	t.Helper()
	for i, s := range steps {
		c.forward(s.wait)
		if s.write != nil {
			if ok := b.Write(address, s.write); ok == s.nack {
				t.Fatalf("step %d: write % x acknowledged %t", i, s.write, ok)
			}
			continue
		}
		got := make([]byte, max(len(s.read), 1))
		ok := b.Read(address, got)
		if ok == s.nack {
			t.Fatalf("step %d: read acknowledged %t", i, ok)
		}
		if ok && !bytes.Equal(got, s.read) {
			t.Fatalf("step %d: read % x, want % x", i, got, s.read)
		}
	}
}

const ms = time.Millisecond

func TestChips(t *testing.T) {
	for _, c := range []struct {
		name  string
		spec  Spec
		steps []step
	}{
		{"registers move bytes and increment", Registers(map[int][]byte{0x10: {1, 2, 3}}), []step{
			{write: []byte{0x10}}, {read: []byte{1, 2}}, {read: []byte{3, 0}},
			{write: []byte{0x11, 0xaa, 0xbb}}, {write: []byte{0x10}}, {read: []byte{1, 0xaa, 0xbb}},
		}},
		{"words keep the pointer", Words(map[int][]byte{2: {0x12, 0x34}}), []step{
			{write: []byte{2}}, {read: []byte{0x12, 0x34}}, {read: []byte{0x12, 0x34, 0x12}},
			{write: []byte{2, 0xab}}, {read: []byte{0x12, 0x34}}, // half a word is dropped
			{write: []byte{2, 0xab, 0xcd}}, {read: []byte{0xab, 0xcd}},
		}},
		{"bmp280 sleeps with power-on data", BMP280(), []step{
			{write: []byte{0xd0}}, {read: []byte{0x58}},
			{write: []byte{0xf3}}, {read: []byte{0, 0, 0, 0, 0x80, 0, 0, 0x80, 0, 0}},
			{write: []byte{0x88}}, {read: []byte{0x70, 0x6b, 0x43, 0x67, 0x18, 0xfc, 0x7d, 0x8e}},
		}},
		{"bmp280 forced mode measures the example and sleeps", BMP280(), []step{
			{write: []byte{0xf4, 0x25}}, // one sample each: 6.425 ms
			{write: []byte{0xf3}}, {wait: 6 * ms, read: []byte{8, 0x25, 0, 0, 0x80, 0, 0, 0x80, 0, 0}},
			{write: []byte{0xf3}}, {wait: ms, read: []byte{0, 0x24, 0, 0, 0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00}},
		}},
		{"bmp280 leaves out what isn't sampled", BMP280(), []step{
			{write: []byte{0xf4, 0x21}},
			{write: []byte{0xf7}}, {wait: 10 * ms, read: []byte{0x80, 0, 0, 0x7e, 0xed, 0x00}},
		}},
		{"bmp280 reset", BMP280(), []step{
			{write: []byte{0xf5, 0xa0, 0xf4, 0x27}}, {write: []byte{0xe0, 0xb6}},
			{write: []byte{0xf4}}, {read: []byte{0, 0}},
		}},
		{"bmp280 takes pairs of register and value", BMP280(), []step{
			{write: []byte{0xf4, 0xf4, 0x99, 0x20}}, {write: []byte{0xf4}}, {read: []byte{0xf4, 0x00}},
			{write: []byte{0x99}}, {read: []byte{0xff}}, // calibration is read-only
		}},
		{"bme280 humidity counts from ctrl_meas on", BME280(), []step{
			{write: []byte{0xd0}}, {read: []byte{0x60}},
			{write: []byte{0xe1}}, {read: []byte{0x69, 0x01, 0x00, 0x14, 0x25, 0x03, 0x1e}},
			{write: []byte{0xf4, 0x25}}, {wait: 20 * ms, write: []byte{0xfd}}, {read: []byte{0x80, 0}},
			{write: []byte{0xf2, 0x01}}, {write: []byte{0xf4, 0x25}},
			{wait: 20 * ms, write: []byte{0xfd}}, {read: []byte{0x6d, 0xc4}},
		}},
		{"tmp102 powers up at 0, then measures", TMP102(400), []step{
			{write: []byte{1}}, {read: []byte{0x60, 0xa0}},
			{write: []byte{0, 0x12, 0x34}}, {read: []byte{0, 0}}, {wait: 35 * ms, read: []byte{0x19, 0x00}},
			{write: []byte{3}}, {read: []byte{0x50, 0x00}},
		}},
		{"tmp102 negative, one shot", TMP102(-400), []step{
			{write: []byte{1, 0x61, 0xa0}}, {wait: 40 * ms, write: []byte{1}}, {read: []byte{0xe1, 0xa0}},
			{write: []byte{1, 0xe1, 0xa0}}, {write: []byte{1}}, {wait: 34 * ms, read: []byte{0x61, 0xa0}},
			{wait: ms, read: []byte{0xe1, 0xa0}},
			{write: []byte{0}}, {read: []byte{0xe7, 0x00}},
		}},
		{"tmp102 extended mode", TMP102(2048), []step{ // 128 °C, table 8-4 of SBOS397
			{write: []byte{1, 0x60, 0xb0}}, {write: []byte{0}}, {wait: 40 * ms, read: []byte{0x40, 0x01}},
		}},
		{"lm75", LM75(-50), []step{
			{read: []byte{0xe7, 0x00}}, {write: []byte{1}}, {read: []byte{0}}, {write: []byte{1, 0x01}}, {read: []byte{1}},
			{write: []byte{3}}, {read: []byte{0x50, 0x00}}, {write: []byte{3, 0x55, 0}}, {read: []byte{0x55, 0}},
		}},
		{"sht4x answers once, when it is ready", SHT4x(0xbeef, 0x0000), []step{
			{nack: true}, {write: []byte{0xfd}}, {wait: 8 * ms, nack: true},
			{wait: ms, read: []byte{0xbe, 0xef, 0x92, 0x00, 0x00, 0x81}}, {nack: true},
			{write: []byte{0x77}, nack: true},
		}},
		{"ads1115 single shot", ADS1115(2048000, 1024000, -256000, 0), []step{
			{write: []byte{1}}, {read: []byte{0x85, 0x83}},
			{write: []byte{1, 0xc3, 0x83}}, // AIN0, ±4.096 V, 128/s
			{write: []byte{1}}, {wait: 8 * ms, read: []byte{0x43, 0x83}}, {wait: ms, read: []byte{0xc3, 0x83}},
			{write: []byte{0}}, {read: []byte{0x40, 0x00}},
			{write: []byte{1, 0xeb, 0x83}}, // AIN2, ±0.256 V
			{write: []byte{0}}, {wait: 9 * ms, read: []byte{0x80, 0x00}},
			{write: []byte{1, 0x83, 0x83}}, // AIN0 − AIN1
			{write: []byte{0}}, {wait: 9 * ms, read: []byte{0x20, 0x00}},
		}},
		{"ads1115 clips", ADS1115(9000000, 0, 0, 0), []step{
			{write: []byte{1, 0xc3, 0x83}}, {write: []byte{0}}, {wait: 9 * ms, read: []byte{0x7f, 0xff}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, clk := newBus(t, 0x48, c.spec)
			play(t, b, clk, 0x48, c.steps)
		})
	}
}

func TestFaults(t *testing.T) {
	b, c := newBus(t, 0x76, Registers(map[int][]byte{0: {0x5a, 0xa5}}))
	fault := func(address uint16, f Fault) {
		t.Helper()
		if err := b.SetFault(address, f); err != nil {
			t.Fatal(err)
		}
	}
	play(t, b, c, 0x76, []step{{write: []byte{0, 0x11}}, {write: []byte{0}}, {read: []byte{0x11, 0xa5}}})
	play(t, b, c, 0x77, []step{{write: []byte{0}, nack: true}, {nack: true}})
	for _, address := range []uint16{0x76, 0} {
		fault(address, NACK)
		play(t, b, c, 0x76, []step{{write: []byte{0}, nack: true}, {nack: true}})
		fault(address, Zeros)
		play(t, b, c, 0x76, []step{{write: []byte{0, 0xff}}, {read: []byte{0, 0}}})
		fault(address, Ones)
		play(t, b, c, 0x76, []step{{write: []byte{0}}, {read: []byte{0xff, 0xff}}})
		fault(address, Healthy)
	}
	play(t, b, c, 0x76, []step{{write: []byte{0}}, {read: []byte{0x11, 0xa5}}})
	fault(0, Ones)
	play(t, b, c, 0x10, []step{{read: []byte{0xff}}}) // a stuck bus answers where nobody lives
	fault(0, Healthy)

	// Pulled out and put back it has lost what was written to it.
	for _, present := range []bool{false, true} {
		if err := b.SetPresent(0x76, present); err != nil {
			t.Fatal(err)
		}
		play(t, b, c, 0x76, []step{{write: []byte{0}, nack: !present}})
	}
	play(t, b, c, 0x76, []step{{read: []byte{0x5a, 0xa5}}})

	for name, err := range map[string]error{
		"no fault is called":      b.SetFault(0x76, "wet"),
		"use address 0":           b.SetFault(0x76, Hang),
		"there is no chip at":     b.SetPresent(0x20, true),
		"there is no chip at 0x2": b.SetFault(0x20, NACK),
		"0x76 is taken":           b.Add(0x76, &sht4x{}, nil),
		"no chip can live":        b.Add(0x78, &sht4x{}, nil),
		"chip at 0x20":            b.With(0x20, func(Chip) error { return nil }),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

func TestHangEndsWhenLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newBus(t, 0x76, Registers(nil))
		if err := b.SetFault(0, Hang); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool, 1)
		go func() { done <- b.Write(0x76, []byte{0}) }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("a transfer ended on a hung bus")
		}
		if err := b.SetFault(0, Healthy); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(done) == 0 || !<-done {
			t.Error("the transfer failed, or hangs on, after the hang was lifted")
		}
	})
}

func TestPowerLossResetsAChip(t *testing.T) {
	c := &clock{time.Unix(0, 0)}
	b := NewBus(c.now, func() time.Duration { return 0 })
	chip, err := New(Registers(map[int][]byte{0: {1}}))
	if err != nil {
		t.Fatal(err)
	}
	on := true
	if err := b.Add(0x40, chip, func() bool { return on }); err != nil {
		t.Fatal(err)
	}
	play(t, b, c, 0x40, []step{{write: []byte{0, 9}}, {write: []byte{0}}, {read: []byte{9}}})
	on = false
	play(t, b, c, 0x40, []step{{nack: true}})
	on = true
	play(t, b, c, 0x40, []step{{write: []byte{0}}, {read: []byte{1}}})
}

func TestTransfersAreRecorded(t *testing.T) {
	b, c := newBus(t, 0x40, Registers(nil))
	play(t, b, c, 0x40, []step{{wait: ms, write: []byte{7, 8}}, {wait: ms, read: []byte{0}}})
	play(t, b, c, 0x41, []step{{nack: true}})
	got := b.Transfers()
	if len(got) != 3 || got[0].At != ms || got[0].Read || !bytes.Equal(got[0].Data, []byte{7, 8}) ||
		got[1].At != 2*ms || !got[1].Read || got[2].Address != 0x41 || !got[2].NACK || got[2].Data != nil {
		t.Errorf("recorded %+v", got)
	}
	for range maxLog + 10 {
		b.Write(0x40, []byte{0})
	}
	if n := len(b.Transfers()); n > maxLog || n < maxLog/2 {
		t.Errorf("the record holds %d transfers, want at most %d", n, maxLog)
	}
	if n := len(b.Transfers()); n != 0 {
		t.Errorf("%d transfers were told twice", n)
	}
}

func TestSpecErrors(t *testing.T) {
	for want, s := range map[string]Spec{
		"no chip model":         {Model: "bmp999"},
		"measures no \"wind\"":  {Model: "bmp280", Values: map[string]int{"wind": 1}},
		"measures no \"adc_H\"": {Model: "bmp280", Values: map[string]int{"adc_H": 1}},
		"don't fit":             Registers(map[int][]byte{0xff: {1, 2}}),
		"1 bytes don't fit":     Words(map[int][]byte{1: {1}}),
		"no registers":          {Model: "sht4x", Registers: map[int][]byte{0: {1}}},
	} {
		if _, err := New(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}

func TestMemoryIsShared(t *testing.T) {
	b, c := newBus(t, 0x40, Registers(nil))
	if err := b.With(0x40, func(chip Chip) error { chip.Memory()[3] = 0x77; return nil }); err != nil {
		t.Fatal(err)
	}
	play(t, b, c, 0x40, []step{{write: []byte{3}}, {read: []byte{0x77}}})
}

func TestTinyUSB(t *testing.T) {
	b, _ := newBus(t, 0x48, Registers(map[int][]byte{0: {0xab}}))
	u := &TinyUSB{Bus: b}
	control := func(s usbip.Setup, data []byte, want ...byte) {
		t.Helper()
		got, err := u.Control(s, data)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v gave % x, %v, want % x", s, got, err, want)
		}
	}
	status := usbip.Setup{Request: 3, Length: 1}
	control(usbip.Setup{Request: 1, Length: 4}, nil, 0x01, 0x00, 0xff, 0x0e)
	control(usbip.Setup{Request: 2, Value: 10}, nil)
	control(usbip.Setup{Request: 5, Index: 0x48}, []byte{0})
	control(status, nil, 1)
	control(usbip.Setup{Request: 6, Value: 1, Index: 0x48, Length: 1}, nil, 0xab)
	control(usbip.Setup{Request: 7, Value: 1, Index: 0x49, Length: 1}, nil, 0)
	control(status, nil, 2)
	if _, err := u.Control(usbip.Setup{Request: 9}, nil); err == nil {
		t.Error("request 9 was answered")
	}
	if _, err := u.In(1, 8); err == nil {
		t.Error("endpoint 1 answered")
	}
	if err := u.Out(1, nil); err == nil {
		t.Error("endpoint 1 took bytes")
	}
}
