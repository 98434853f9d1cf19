package serial

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// The commands of appendix II.
const (
	wakeUp    = "424de400010174"
	passive   = "424de100000170"
	readOnce  = "424de200000171"
	goToSleep = "424de400000173"
)

// Frames of real sensors: the first and the second as a logic analyser and a
// terminal showed them (their checksums are right), of different devices.
const (
	clean = "424d001c0002000400040002000400040 2e800d40020000000000000970003 34"
	dusty = "424d001c0005000d00160005000d001602fd00fc001d000f00060006970003c5"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checked gives a frame the right sum.
func checked(frame []byte) []byte {
	frame = slices.Clone(frame)
	sum := pmsSum(frame[:len(frame)-2])
	return append(frame[:len(frame)-2], byte(sum>>8), byte(sum))
}

// A bench is a port whose device answers each question as the test says.
type bench struct {
	*sensortest.SerialDevice
	env    *sensortest.Env
	driver *sensors.Driver
	log    []string // what was sent, and when
}

// answers are what comes after the reads, one after another; the last goes on.
func newBench(t *testing.T, texts map[string]string, answers ...[]byte) *bench {
	t.Helper()
	d := sensortest.Driver(t, "pms5003")
	b := &bench{SerialDevice: &sensortest.SerialDevice{}, env: sensortest.New(t, d, texts), driver: d}
	b.env.Wires[sensors.SerialWire] = b.SerialDevice
	reads := 0
	b.Receive = func(now sensors.Instant, data []byte) {
		b.log = append(b.log, fmt.Sprintf("%.0fs %x", now.Sub(sensortest.Start).Seconds(), data))
		if fmt.Sprintf("%x", data) != readOnce || len(answers) == 0 {
			return
		}
		b.Send(now.Add(10*time.Millisecond), answers[min(reads, len(answers)-1)]...)
		reads++
	}
	return b
}

func (b *bench) read(t *testing.T) ([]sensors.Reading, error) {
	t.Helper()
	got, failures, err := sensortest.Read(t, b.driver, b.env)
	if len(failures) > 0 {
		t.Errorf("failures: %v", failures)
	}
	if b.Opened != b.Closed {
		t.Errorf("opened %d times and closed %d times", b.Opened, b.Closed)
	}
	return got, err
}

func masses(t *testing.T, got []sensors.Reading) []float64 {
	t.Helper()
	var list []float64
	for _, size := range []string{"1", "2.5", "10"} {
		list = append(list, 1e6*sensortest.Value(t, got, pmsParticles, size))
	}
	return list
}

func equalMasses(t *testing.T, got []sensors.Reading, want ...float64) {
	t.Helper()
	for i, m := range masses(t, got) {
		if d := m - want[i]; d > 1e-9 || d < -1e-9 {
			t.Errorf("the masses are %v µg/m³, want %v", masses(t, got), want)
			return
		}
	}
}

func isError(t *testing.T, err error, reason sensors.Reason, says string) {
	t.Helper()
	if err == nil || sensors.ReasonOf(err) != reason || !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %v (%s), want %q (%s)", err, sensors.ReasonOf(err), says, reason)
	}
}

// TestPMSSequence: it is woken, made to answer only, has 30 s for its fan, is
// read until two frames agree, and sleeps again.
func TestPMSSequence(t *testing.T) {
	b := newBench(t, nil, unhex(t, dusty))
	got, err := b.read(t)
	if err != nil {
		t.Fatal(err)
	}
	equalMasses(t, got, 5, 13, 22)
	want := []string{"0s " + wakeUp, "1s " + passive, "30s " + readOnce, "30s " + readOnce, "30s " + goToSleep}
	if !slices.Equal(b.log, want) {
		t.Errorf("it sent %q, want %q", b.log, want)
	}
}

func TestPMSFrames(t *testing.T) {
	other := unhex(t, dusty)
	copy(other[4:10], []byte{0, 9, 0, 30, 0, 40}) // standard particles: 9, 30, 40
	fault := unhex(t, dusty)
	fault[29] = 0x80
	for name, tt := range map[string]struct {
		texts map[string]string
		frame []byte
		want  []float64
		says  string
	}{
		"clean air":   {frame: unhex(t, clean), want: []float64{2, 4, 4}},
		"atmospheric": {frame: checked(other), want: []float64{5, 13, 22}},
		"standard":    {texts: map[string]string{"particles": "standard"}, frame: checked(other), want: []float64{9, 30, 40}},
		"what a PMS5003 has there isn't documented": {frame: checked(fault), want: []float64{5, 13, 22}},
		"a fault of a PMS7003":                      {texts: map[string]string{"model": "pms7003"}, frame: checked(fault), says: "reports its fault 0x80"},
		"nothing in the air":                        {frame: checked(make([]byte, 32)), says: "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newBench(t, tt.texts, tt.frame).read(t)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, want %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equalMasses(t, got, tt.want...)
		})
	}
}

func TestPMSFindsFrames(t *testing.T) {
	frame, answer := unhex(t, dusty), unhex(t, "424d0004e10001 74")
	for name, before := range map[string][]byte{
		"nothing": nil, "a zero": {0}, "the beginning of a head": {0x42}, "a head alone": {0x42, 0x4d}, "noise": {0xff, 0x42, 0x00, 0x4d, 0x13},
		"an answer to a command": answer, "half a frame": frame[:17], "the other half": frame[17:],
		"a head within": {0x42, 0x4d, 0x00, 0x42}, "a frame of another device": append([]byte{0x42, 0x4d, 0, 20}, make([]byte, 20)...),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newBench(t, nil, slices.Concat(before, frame)).read(t)
			if err != nil {
				t.Fatal(err)
			}
			equalMasses(t, got, 5, 13, 22)
		})
	}
}

// A sensor that doesn't hear that it is to answer only goes on sending: what it
// sent while its fan settled is forgotten.
func TestPMSThatSendsByItself(t *testing.T) {
	b := newBench(t, nil)
	for s := range 40 {
		frame := unhex(t, clean)
		if s >= 30 {
			frame = unhex(t, dusty)
		}
		b.Send(sensortest.Start.Add(time.Duration(s)*time.Second+300*time.Millisecond), frame...)
	}
	got, err := b.read(t)
	if err != nil {
		t.Fatal(err)
	}
	equalMasses(t, got, 5, 13, 22)
}

func TestPMSThatChanges(t *testing.T) {
	first, second := unhex(t, clean), unhex(t, dusty)
	got, err := newBench(t, nil, first, second, second).read(t)
	if err != nil {
		t.Fatal(err)
	}
	equalMasses(t, got, 5, 13, 22)
	b := newBench(t, nil, first, second, first, second, first, second, first)
	_, err = b.read(t)
	isError(t, err, sensors.Checksum, "no two of 6 measurements agree")
	if last := b.log[len(b.log)-1]; !strings.HasSuffix(last, goToSleep) {
		t.Errorf("after that it was sent %s", last)
	}
}

func TestPMSErrors(t *testing.T) {
	spoiled := unhex(t, dusty)
	spoiled[10] ^= 4
	shrinking := unhex(t, dusty)
	copy(shrinking[10:16], []byte{0, 9, 0, 8, 0, 9})
	for name, tt := range map[string]struct {
		answer []byte
		reason sensors.Reason
		says   string
	}{
		"silence":             {nil, sensors.NoAnswer, "no answer on serial port /dev/serial0 within 2s: check 5 V"},
		"a wrong sum":         {spoiled, sensors.Checksum, "a frame has the sum 0x03c5, its bytes add up to 0x03c9"},
		"a PMS3003":           {checked(append([]byte{0x42, 0x4d, 0, 20}, make([]byte, 20)...)), sensors.Identity, "frames of 24 bytes"},
		"more small than all": {checked(shrinking), sensors.OutOfRange, "more small particles than all: 9, 8 and 9"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			if tt.answer != nil {
				b = newBench(t, nil, tt.answer)
			}
			_, err := b.read(t)
			isError(t, err, tt.reason, tt.says)
			if last := b.log[len(b.log)-1]; !strings.HasSuffix(last, goToSleep) {
				t.Errorf("after that it was sent %s", last)
			}
		})
	}
}

// One answer that is lost or spoiled costs another question.
func TestPMSAsksAgain(t *testing.T) {
	spoiled := unhex(t, dusty)
	spoiled[20] ^= 1
	for name, first := range map[string][]byte{"spoiled": spoiled, "lost": {}, "cut": unhex(t, dusty)[:31]} {
		got, err := newBench(t, nil, first, unhex(t, dusty)).read(t)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equalMasses(t, got, 5, 13, 22)
	}
}

func TestPMSUnplugged(t *testing.T) {
	b := newBench(t, nil, unhex(t, dusty))
	b.env.OnWait = func(n int) {
		if n == 1 { // its fan settles
			b.Err = syscall.EIO
		}
	}
	if _, err := b.read(t); !errors.Is(err, syscall.EIO) {
		t.Errorf("unplugged: %v", err)
	}
}

// TestPMSSleepsWhenBrokenOff: fan and laser must not run until the next read.
func TestPMSSleepsWhenBrokenOff(t *testing.T) {
	for wait := range 2 {
		b := newBench(t, nil, unhex(t, dusty))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b.env.OnWait = func(n int) {
			if n == wait {
				cancel()
			}
		}
		if _, _, err := sensortest.ReadContext(ctx, t, b.driver, b.env); !errors.Is(err, context.Canceled) {
			t.Errorf("broken off in wait %d: %v", wait, err)
		}
		if last := b.log[len(b.log)-1]; !strings.HasSuffix(last, goToSleep) || b.Opened != b.Closed {
			t.Errorf("then it was sent %s, opened %d, closed %d", last, b.Opened, b.Closed)
		}
	}
}

// TestPMSStaysAwake: with sleep=no the fan settles once.
func TestPMSStaysAwake(t *testing.T) {
	b := newBench(t, map[string]string{"sleep": "no"}, unhex(t, dusty))
	s, err := b.driver.New(t.Context(), b.env)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := sensortest.Sense(t.Context(), t, b.driver, s); err != nil {
			t.Fatal(err)
		}
		b.env.NextWake(10 * time.Second)
	}
	want := []string{"0s " + wakeUp, "1s " + passive, "30s " + readOnce, "30s " + readOnce, "40s " + passive, "40s " + readOnce, "40s " + readOnce}
	if !slices.Equal(b.log, want) {
		t.Errorf("it sent %q, want %q", b.log, want)
	}
}

func TestPMSOptions(t *testing.T) {
	d := sensortest.Driver(t, "pms5003")
	for _, tt := range []struct {
		texts map[string]string
		want  string
	}{
		{nil, ""},
		{map[string]string{"settle": "2m", "timeout": "3m"}, ""},
		{map[string]string{"timeout": "30s"}, "timeout: 30s is too short: with settle=30s a read takes up to 40s"},
		{map[string]string{"settle": "1m"}, "timeout: 1m is too short"},
	} {
		_, err := sensors.NewOptions(d, tt.texts)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.texts, err, tt.want)
		}
	}
}

func FuzzPMSFrames(f *testing.F) {
	f.Add(unhex(f, dusty))
	f.Add([]byte{0x42, 0x4d, 0xff, 0xff, 0x42})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		size, err := pmsFrame(data)
		if size > len(data) || size > pmsLongest || size > 0 && err != nil {
			t.Errorf("% x: %d, %v", data, size, err)
		}
	})
}
