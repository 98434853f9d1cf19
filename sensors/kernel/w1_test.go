package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

const (
	pond, roof = "28-0316a2793aff", "28-00000a1b2c3d"
	busOne     = "/sys/bus/w1/devices/w1_bus_master1"
)

// wire is a 1-Wire bus as w1_therm shows it: a conversion for each read, or
// one for all when it is triggered, in which the write lasts as long as the
// conversion.
type wire struct {
	*sensortest.Env
	conversions int            // of one chip or of all
	unread      map[string]int // m°C by path, of a bulk conversion
	chips       map[string]int // m°C by path
	deaf        bool           // takes no trigger and doesn't say so
}

// newWire has the chips at these temperatures; options may be nil.
func newWire(t testing.TB, options map[string]string, chips map[string]int) *wire {
	t.Helper()
	oneByOne.Clear()
	w := &wire{Env: sensortest.New(t, sensortest.Driver(t, "w1"), options), chips: map[string]int{}, unread: map[string]int{}}
	bulk := busOne + "/therm_bulk_read"
	w.FS.Put(bulk, "0\n")
	w.FS.Put(busOne+"/w1_master_slaves", "not looked at\n")
	for id, v := range chips {
		dir := busOne + "/" + id
		w.chips[dir] = v
		w.FS.Put(dir+"/temperature", fmt.Sprintln(v))
		w.FS.Put(dir+"/w1_slave", scratchpad(v, 0x10))
	}
	w.FS.OnWrite = func(path, data string) {
		w.FS.Put(bulk, "0\n")
		if path != bulk || data != "trigger\n" || w.deaf {
			return
		}
		w.conversions++
		for dir, v := range w.chips {
			w.unread[dir] = v
		}
		w.FS.Put(bulk, "1\n")
	}
	w.FS.OnRead = func(file string) {
		dir := path.Dir(file)
		v, known := w.chips[dir]
		if name := path.Base(file); !known || name != "temperature" && name != "w1_slave" {
			return
		}
		if old, ok := w.unread[dir]; ok {
			v = old
			delete(w.unread, dir)
		} else {
			w.conversions++
		}
		if _, ok := w.FS.Content[dir+"/temperature"]; ok {
			w.FS.Put(dir+"/temperature", fmt.Sprintln(v))
		}
		if len(w.unread) == 0 {
			w.FS.Put(bulk, "0\n")
		}
	}
	return w
}

// scratchpad is w1_slave as the kernel writes it; byte 6 as given. The
// checksum, which the kernel checks, isn't computed.
func scratchpad(milli int, byte6 byte) string {
	raw := uint16(milli * 16 / 1000)
	b := fmt.Sprintf("%02x %02x 4b 46 7f ff %02x 10 57", byte(raw), byte(raw>>8), byte6)
	return fmt.Sprintf("%s : crc=57 YES\n%s t=%d\n", b, b, milli)
}

func read(t testing.TB, w *wire) (float64, error) {
	t.Helper()
	readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "w1"), w.Env)
	if err != nil {
		return 0, err
	}
	if len(failures) > 0 {
		return 0, failures[0].Err
	}
	return sensortest.Value(t, readings, sensors.Temperature), nil
}

func TestW1Temperatures(t *testing.T) {
	// DS18B20 data sheet, table 1; the kernel cuts to whole m°C.
	for milli, want := range map[int]float64{
		125000: 125, 25062: 25.062, 10125: 10.125, 500: 0.5, 0: 0, -500: -0.5, -10125: -10.125, -25062: -25.062, -55000: -55, 85000: 85,
	} {
		w := newWire(t, nil, map[string]int{pond: milli})
		got, err := read(t, w)
		if err != nil || got != want {
			t.Errorf("%d m°C: got %v, %v, want %v", milli, got, err, want)
		}
	}
}

func TestW1OutOfRange(t *testing.T) {
	for _, milli := range []int{125062, 127937, -55062} { // 127.94 °C: too little power
		if got, err := read(t, newWire(t, nil, map[string]int{pond: milli})); sensors.ReasonOf(err) != sensors.OutOfRange {
			t.Errorf("%d m°C: got %v, %v, want it refused", milli, got, err)
		}
	}
}

func TestW1Choice(t *testing.T) {
	two := map[string]int{pond: 4000, roof: 21000}
	for _, tc := range []struct {
		name    string
		options map[string]string
		chips   map[string]int
		want    float64
		errHas  []string
	}{
		{"the only one", nil, map[string]int{roof: 21000}, 21, nil},
		{"by id", map[string]string{"id": pond}, two, 4, nil},
		{"capitals", map[string]string{"id": strings.ToUpper(pond)}, two, 4, nil},
		{"by bus", map[string]string{"id": pond, "master": "1"}, two, 4, nil},
		{"several", nil, two, 0, []string{"2 thermometers", pond, roof, "choose one with id"}},
		{"another", map[string]string{"id": "10-000801b63f2e"}, two, 0, []string{"10-000801b63f2e isn't on the 1-Wire bus", pond, roof}},
		{"none", nil, nil, 0, []string{"no thermometer answers", "4.7 kΩ"}},
		{"none of that name", map[string]string{"id": pond}, nil, 0, []string{pond, "no other is", "4.7 kΩ"}},
		{"another bus", map[string]string{"master": "2"}, two, 0, []string{"w1_bus_master2", "dtoverlay=w1-gpio"}},
		{"something else too", nil, map[string]int{pond: 4000, "01-00000a1b2c3d": 0, "3a-00000a1b2c3d": 0}, 4, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := read(t, newWire(t, tc.options, tc.chips))
			if tc.errHas == nil {
				if err != nil || got != tc.want {
					t.Errorf("got %v, %v, want %v", got, err, tc.want)
				}
				return
			}
			if err == nil || sensors.ReasonOf(err) != sensors.NoAnswer {
				t.Fatalf("got %v, %v, want no answer", got, err)
			}
			for _, want := range tc.errHas {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestW1NoBus(t *testing.T) {
	e := sensortest.New(t, sensortest.Driver(t, "w1"), nil)
	_, _, err := sensortest.Read(t, sensortest.Driver(t, "w1"), e)
	if sensors.ReasonOf(err) != sensors.NoAnswer || !strings.Contains(err.Error(), "dtoverlay=w1-gpio") {
		t.Errorf("got %v", err)
	}
}

func TestW1BadID(t *testing.T) {
	d := sensortest.Driver(t, "w1")
	for _, id := range []string{"28-0316", "0316a2793aff", "01-0316a2793aff", "28-0316a2793afg", "../28-0316a2793aff"} {
		if _, err := sensors.NewOptions(d, map[string]string{"id": id}); err == nil || !strings.Contains(err.Error(), "28-0316a2793aff") {
			t.Errorf("%s: got %v, want how it is written", id, err)
		}
	}
}

// TestW1Bulk: two sensors, one conversion, 750 ms in all.
func TestW1Bulk(t *testing.T) {
	w := newWire(t, map[string]string{"id": pond}, map[string]int{pond: 4000, roof: 21000})
	d := sensortest.Driver(t, "w1")
	first, err := d.New(t.Context(), w.Env)
	if err != nil {
		t.Fatal(err)
	}
	second := &w1{env: w.Env, master: busOne, dir: busOne + "/" + roof}
	for wake := range 2 {
		for s, want := range map[sensors.Sensor]float64{first: 4, second: 21} {
			readings, _, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil {
				t.Fatal(err)
			}
			if got := sensortest.Value(t, readings, sensors.Temperature); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if w.conversions != wake+1 {
			t.Errorf("%d conversions after %d wakes", w.conversions, wake+1)
		}
		if want := time.Duration(wake+1) * w1Conversion; w.Waited() != want {
			t.Errorf("waited %v, want %v", w.Waited(), want)
		}
		w.NextWake(0)
	}
	for _, written := range w.FS.Written {
		if written.Data != "trigger\n" || written.Path != busOne+"/therm_bulk_read" {
			t.Errorf("wrote %q", written)
		}
	}
}

// TestW1WriteLasts: the kernel's write returns when the conversion is over, and
// isn't waited for twice.
func TestW1WriteLasts(t *testing.T) {
	w := newWire(t, nil, map[string]int{pond: 4000})
	trigger := w.FS.OnWrite
	w.FS.OnWrite = func(path, data string) {
		trigger(path, data)
		if err := w.Sleep(t.Context(), 760*time.Millisecond); err != nil {
			t.Error(err)
		}
	}
	if got, err := read(t, w); err != nil || got != 4 {
		t.Errorf("got %v, %v", got, err)
	}
	if w.Waited() != 760*time.Millisecond {
		t.Errorf("waited %v", w.Waited())
	}
}

// TestW1StillConverts: somebody else triggered, or a signal cut the write short.
func TestW1StillConverts(t *testing.T) {
	w := newWire(t, nil, map[string]int{pond: 4000})
	trigger := w.FS.OnWrite
	w.FS.OnWrite = func(path, data string) {
		trigger(path, data)
		w.FS.Put(busOne+"/therm_bulk_read", "-1\n")
	}
	w.OnWait = func(n int) {
		if n == 4 {
			w.FS.Put(busOne+"/therm_bulk_read", "1\n")
		}
	}
	if got, err := read(t, w); err != nil || got != 4 || w.conversions != 1 {
		t.Errorf("got %v, %v after %d conversions", got, err, w.conversions)
	}
	if want := w1Conversion + 4*50*time.Millisecond; w.Waited() != want {
		t.Errorf("waited %v, want %v", w.Waited(), want)
	}
}

// TestW1NoBulk: the sensors are read one by one, which is said once.
func TestW1NoBulk(t *testing.T) {
	for _, errno := range []error{syscall.EACCES, syscall.EROFS, syscall.ENOENT} {
		t.Run(fmt.Sprint(errno), func(t *testing.T) {
			w := newWire(t, nil, map[string]int{pond: 4000})
			w.FS.Break(busOne+"/therm_bulk_read", errno)
			for wake := range 3 {
				if got, err := read(t, w); err != nil || got != 4 {
					t.Errorf("got %v, %v", got, err)
				}
				if w.conversions != wake+1 {
					t.Errorf("%d conversions after %d wakes", w.conversions, wake+1)
				}
				w.NextWake(time.Minute)
			}
			if n := strings.Count(w.Logged(), "udev rule"); n != 1 {
				t.Errorf("said %d times: %s", n, w.Logged())
			}
		})
	}
}

// TestW1Deaf: the kernel ignores a trigger without a word, when the bus is
// busy; then the read converts.
func TestW1Deaf(t *testing.T) {
	w := newWire(t, nil, map[string]int{pond: 4000})
	w.deaf = true
	if got, err := read(t, w); err != nil || got != 4 || w.conversions != 1 {
		t.Errorf("got %v, %v after %d conversions", got, err, w.conversions)
	}
}

// TestW1Stale: a result that an earlier, cut-short read left behind isn't
// taken for the present one.
func TestW1Stale(t *testing.T) {
	w := newWire(t, nil, map[string]int{pond: 4000})
	w.unread[busOne+"/"+pond] = 99000
	w.FS.Put(busOne+"/therm_bulk_read", "1\n")
	w.deaf = true
	if got, err := read(t, w); err != nil || got != 4 {
		t.Errorf("got %v, %v, want what it is now", got, err)
	}
}

func TestW1Failures(t *testing.T) {
	dir := busOne + "/" + pond
	zeros := strings.TrimSpace(strings.Repeat("00 ", 9))
	for _, tc := range []struct {
		name   string
		spoil  func(w *wire)
		milli  int
		reason sensors.Reason
		errno  error
		want   string
	}{
		{"empty", func(w *wire) { w.chips = nil; w.FS.Put(dir+"/temperature", "") }, 4000, sensors.NoAnswer, nil, "is empty"},
		{"garbage", func(w *wire) { w.chips = nil; w.FS.Put(dir+"/temperature", "21.5\n") }, 4000, sensors.IO, nil, `"21.5"`},
		{"EIO", func(w *wire) { w.FS.Break(dir+"/temperature", syscall.EIO) }, 4000, sensors.IO, syscall.EIO, "temperature"},
		{"power-on value", func(w *wire) { w.FS.Put(dir+"/w1_slave", scratchpad(85000, 0x0c)) }, 85000, sensors.NotReady, nil, "power-up"},
		{"power-on value of another chip", func(w *wire) { w.FS.Put(dir+"/w1_slave", scratchpad(85000, 0xff)) }, 85000, sensors.NotReady, nil, "byte 6 of its memory is 0xff and not the 0x10"},
		{"power-on value of an old kernel", func(w *wire) {
			w.FS.Remove(dir + "/temperature")
			w.FS.Put(dir+"/w1_slave", scratchpad(85000, 0x0c))
		}, 85000, sensors.NotReady, nil, "power-up"},
		{"power-on value, and no second answer", func(w *wire) { w.FS.Put(dir+"/w1_slave", "") }, 85000, sensors.NoAnswer, nil, "w1_slave is empty"},
		{"stuck", func(w *wire) { w.FS.Put(dir+"/w1_slave", zeros+" : crc=00 YES\n"+zeros+" t=0\n") }, 0, sensors.Identity, nil, "stuck"},
		{"checksum", func(w *wire) {
			w.FS.Remove(dir + "/temperature")
			w.FS.Put(dir+"/w1_slave", strings.Replace(scratchpad(4000, 0x10), "YES", "NO", 1))
		}, 4000, sensors.Checksum, nil, "checksum"},
		{"gone", func(w *wire) {
			w.FS.OnWrite = func(string, string) {
				w.FS.Remove(dir + "/temperature")
				w.FS.Remove(dir + "/w1_slave")
				w.FS.Put(busOne+"/"+roof+"/temperature", "1\n")
			}
		}, 4000, sensors.NoAnswer, fs.ErrNotExist, "there is " + roof},
		{"the bus is gone", func(w *wire) {
			w.chips = nil
			w.FS.OnWrite = func(string, string) { clear(w.FS.Content) }
		}, 4000, sensors.NoAnswer, nil, "there is no 1-Wire bus"},
		{"EIO of the memory", func(w *wire) { w.FS.Break(dir+"/w1_slave", syscall.EIO) }, 0, sensors.IO, syscall.EIO, "w1_slave"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWire(t, nil, map[string]int{pond: tc.milli})
			tc.spoil(w)
			got, err := read(t, w)
			if err == nil || sensors.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v (%s), want %s and %q", got, err, sensors.ReasonOf(err), tc.reason, tc.want)
			}
			if tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("%v has lost %v", err, tc.errno)
			}
		})
	}
}

// TestW1SecondConversion: a power-on value that a second conversion mends.
func TestW1SecondConversion(t *testing.T) {
	w := newWire(t, nil, map[string]int{pond: 85000})
	w.FS.Put(busOne+"/"+pond+"/w1_slave", scratchpad(21500, 0x08))
	if got, err := read(t, w); err != nil || got != 21.5 {
		t.Errorf("got %v, %v, want 21.5", got, err)
	}
}

func TestW1OldKernel(t *testing.T) {
	w := newWire(t, nil, map[string]int{pond: -10125})
	w.FS.Remove(busOne + "/" + pond + "/temperature")
	w.FS.Remove(busOne + "/therm_bulk_read")
	if got, err := read(t, w); err != nil || got != -10.125 {
		t.Errorf("got %v, %v, want -10.125", got, err)
	}
}

func TestParseScratchpad(t *testing.T) {
	const good = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n" // w1_therm.rst
	v, memory, err := parseScratchpad("f", good)
	if err != nil || v != 23125 || memory != [9]byte{0x72, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0e, 0x10, 0x57} {
		t.Errorf("got %v, % x, %v", v, memory, err)
	}
	for _, bad := range []string{
		"YES", "\n", "t=23125", good[:40], good[:len(good)-9],
		strings.Replace(good, ":", ";", 1), strings.Replace(good, "crc", "src", 1), strings.Replace(good, "72", "7z", 1),
		strings.Replace(good, "72 01", "172 01", 1), strings.Replace(good, "23125", "warm", 1), strings.Replace(good, "23125", "99999999999", 1),
	} {
		if v, _, err := parseScratchpad("f", bad); err == nil || sensors.ReasonOf(err) != sensors.IO {
			t.Errorf("%q: got %v, %v", bad, v, err)
		}
	}
}

// TestW1Cancelled: the context may end in any wait and at any file.
func TestW1Cancelled(t *testing.T) {
	for _, file := range []string{"/therm_bulk_read", "/" + pond + "/temperature"} {
		w := newWire(t, nil, map[string]int{pond: 4000})
		ctx, cancel := context.WithCancel(t.Context())
		w.FS.Hang = map[string]bool{busOne + file: true}
		w.FS.OnRead = func(path string) {
			if path == busOne+file {
				cancel()
			}
		}
		_, _, err := sensortest.ReadContext(ctx, t, sensortest.Driver(t, "w1"), w.Env)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s hangs: got %v", file, err)
		}
	}
	for wait := range 3 {
		w := newWire(t, nil, map[string]int{pond: 4000})
		trigger := w.FS.OnWrite
		w.FS.OnWrite = func(path, data string) {
			trigger(path, data)
			w.FS.Put(busOne+"/therm_bulk_read", "-1\n")
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.OnWait = func(n int) {
			if n == wait {
				cancel()
			}
		}
		s := &w1{env: w.Env, master: busOne, dir: busOne + "/" + pond}
		if err := s.convertAll(ctx); !errors.Is(err, context.Canceled) || len(w.Waits) != wait+1 {
			t.Errorf("cancelled in wait %d: got %v after %d waits", wait, err, len(w.Waits))
		}
	}
}
