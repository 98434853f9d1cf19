package lines

import (
	"context"
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"github.com/google/go-cmp/cmp"
)

// dhtTrain are the falling edges of a frame after the data sheet: the
// response's beginning and end, and the end of each bit.
func dhtTrain(frame ...byte) []time.Duration {
	at := 30 * time.Microsecond
	train := []time.Duration{at}
	at += 160 * time.Microsecond
	train = append(train, at)
	for _, b := range frame {
		for bit := 7; bit >= 0; bit-- {
			at += 76 * time.Microsecond
			if b>>bit&1 == 1 {
				at += 44 * time.Microsecond
			}
			train = append(train, at)
		}
	}
	return train
}

func withSum(a, b, c, d byte) []byte { return []byte{a, b, c, d, a + b + c + d} }

// answers lets the chip send a train whenever the line is released.
func answers(e *sensortest.Env, train []time.Duration) {
	line := e.Lines["pin"]
	line.OnConfig = func(c sensors.LineConfig) {
		if c.Output {
			return
		}
		line.Drive(e.Now(), true)
		for _, at := range train {
			line.Drive(e.Now().Add(at), false)
			line.Drive(e.Now().Add(at+40*time.Microsecond), true)
		}
	}
}

func TestDHT(t *testing.T) {
	for _, tc := range []struct {
		name             string
		model            string
		frame            []byte
		celsius, percent float64
	}{
		// AM2302 product manual, section 7.
		{"data sheet", "dht22", []byte{0x02, 0x8c, 0x01, 0x5f, 0xee}, 35.1, 65.2},
		{"data sheet, below zero", "am2302", []byte{0x02, 0x8c, 0x80, 0x65, 0x73}, -10.1, 65.2},
		{"zero degrees", "dht22", withSum(0x01, 0x90, 0x00, 0x00), 0, 40},
		{"zero degrees with a sign", "dht22", withSum(0x01, 0x90, 0x80, 0x00), 0, 40},
		{"lowest", "dht22", withSum(0x00, 0x01, 0x81, 0x90), -40, 0.1},
		{"a copy below zero", "dht22", withSum(0x02, 0xb7, 0xff, 0xe9), -2.3, 69.5}, // frame of micropython-lib, issue 1074
		{"a copy a little below zero", "dht22", withSum(0x01, 0xf5, 0xff, 0xff), -0.1, 50.1},
		{"a copy, lowest", "dht22", withSum(0x01, 0xf5, 0xfe, 0x70), -40, 50.1},
		{"highest", "dht22", withSum(0x03, 0xe8, 0x03, 0x20), 80, 100},
		{"DHT11 data sheet", "dht11", []byte{0x35, 0x00, 0x18, 0x00, 0x4d}, 24, 53},
		{"DHT11 with tenths", "dht11", []byte{0x35, 0x00, 0x18, 0x04, 0x51}, 24.4, 53},
		{"DHT11 below zero", "dht11", withSum(0x5f, 0x00, 0x0a, 0x81), -10.1, 95},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "dht", map[string]string{"model": tc.model}, "pin")
			answers(e, dhtTrain(tc.frame...))
			readings, failures, err := sensortest.Read(t, d, e)
			if err != nil || len(failures) > 0 {
				t.Fatalf("error %v, failures %v", err, failures)
			}
			celsius, ratio := sensortest.Value(t, readings, sensors.Temperature), sensortest.Value(t, readings, sensors.Humidity)
			if math.Abs(celsius-tc.celsius) > 1e-9 || math.Abs(ratio*100-tc.percent) > 1e-9 || math.Signbit(celsius) != (tc.celsius < 0) {
				t.Errorf("got %v °C, %v %%, want %v and %v", celsius, ratio*100, tc.celsius, tc.percent)
			}
			released(t, e)
		})
	}
}

// TestDHTSequence: the line is pulled low and never driven high, listened to
// without being released, and left alone for as long as the chip wants.
func TestDHTSequence(t *testing.T) {
	ms := time.Millisecond
	for model, want := range map[string][]time.Duration{
		"dht22": {2000 * ms, 2 * ms, 10 * ms, 2000 * ms, 2 * ms, 10 * ms},
		"dht11": {1000 * ms, 20 * ms, 10 * ms, 1000 * ms, 20 * ms, 10 * ms},
	} {
		d, e := wired(t, "dht", map[string]string{"model": model, "pull": "up"}, "pin")
		line := e.Lines["pin"]
		var configs []sensors.LineConfig
		frame := map[string][]byte{"dht22": withSum(0x02, 0x8c, 0x01, 0x5f), "dht11": withSum(0x35, 0, 0x18, 0)}[model]
		answers(e, dhtTrain(frame...))
		answer := line.OnConfig
		line.OnConfig = func(c sensors.LineConfig) { configs = append(configs, c); answer(c) }
		s := build(t, d, e)
		sense(t, d, s)
		sense(t, d, s)
		if !cmp.Equal(e.Waits, want) {
			t.Errorf("%s: waits %v, want %v", model, e.Waits, want)
		}
		once := []sensors.LineConfig{
			{Output: true, Buffer: 64},
			{Edges: sensors.FallingEdge, Bias: sensors.PullUp, Buffer: 64},
		}
		if !cmp.Equal(configs, append(once, once...)) {
			t.Errorf("%s: the line was used as %+v", model, configs)
		}
		if want := []bool{false, false}; !cmp.Equal(line.Sets, want) || line.Opened != 2 {
			t.Errorf("%s: driven %v in %d requests, want low in each of two", model, line.Sets, line.Opened)
		}

		// A read that is due later waits no more.
		e.Waits = nil
		e.NextWake(time.Minute)
		sense(t, d, s)
		if e.Waits[0] != 0 {
			t.Errorf("%s: waits %v a minute after the last read", model, e.Waits)
		}
	}
}

// TestDHTTrains decodes time stamps as a busy or an idle machine records them.
func TestDHTTrains(t *testing.T) {
	us := time.Microsecond
	whole := dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xee)
	shift := func(jitter ...time.Duration) []time.Duration {
		train := append([]time.Duration(nil), whole...)
		for i := range train {
			train[i] += jitter[i%len(jitter)]
		}
		return train
	}
	without := func(i int) []time.Duration {
		return append(append([]time.Duration(nil), whole[:i]...), whole[i+1:]...)
	}
	scaled := func(factor float64) []time.Duration {
		train := append([]time.Duration(nil), whole...)
		for i := range train {
			train[i] = time.Duration(float64(train[i]) * factor)
		}
		return train
	}
	for _, tc := range []struct {
		name   string
		train  []time.Duration
		reason sensors.Reason
		err    string
	}{
		{"as the data sheet has it", whole, "", ""},
		{"the response came unheard", whole[1:], "", ""},
		{"late by up to 18 µs", shift(0, 18*us, 2*us, 15*us, 18*us, 7*us, 0), "", ""},
		{"a slow chip", scaled(1.08), "", ""},
		{"a fast chip", scaled(0.9), "", ""},
		{"noise before", append([]time.Duration{3 * us, 9 * us}, whole...), "", ""},
		{"the first bit came unheard", whole[2:], sensors.IO, "a short frame of 40 edges, 41 are needed"},
		{"a bit lost its edge", without(17), sensors.IO, "which is none"},
		{"the first bit lost its edge", without(2), sensors.IO, "which is none"},
		{"the last edge is lost", without(41), sensors.IO, "bit 0 of the frame lasts 160µs"},
		{"noise within", append(append(append([]time.Duration(nil), whole[:20]...), whole[19]+45*us), whole[20:]...), sensors.IO, "which is none"},
		{"three edges", whole[:3], sensors.IO, "a short frame of 3 edges"},
		{"checksum", dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xef), sensors.Checksum, "the frame 02 8C 01 5F has the checksum EF, not EE"},
		{"one bit wrong", dhtTrain(0x02, 0x8c, 0x01, 0x5e, 0xee), sensors.Checksum, "not ED"},
		{"all ones", dhtTrain(0xff, 0xff, 0xff, 0xff, 0xff), sensors.Checksum, "not FC"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "dht", nil, "pin")
			var edges []sensors.Edge
			for i, at := range tc.train {
				edges = append(edges, sensors.Edge{At: e.Now().Add(at), Seq: uint32(i + 1)})
			}
			s, err := d.New(t.Context(), replay(e, edges))
			if err != nil {
				t.Fatal(err)
			}
			readings, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if tc.err != "" {
				if err == nil || sensors.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v (%s), want %q (%s)", err, sensors.ReasonOf(err), tc.err, tc.reason)
				}
				return
			}
			if err != nil || len(failures) > 0 {
				t.Fatalf("error %v, failures %v", err, failures)
			}
			if c, h := sensortest.Value(t, readings, sensors.Temperature), sensortest.Value(t, readings, sensors.Humidity); c != 35.1 || h != 0.652 {
				t.Errorf("got %v °C and %v", c, h)
			}
		})
	}
}

// TestDHTLosesAnyEdge: no single lost or doubled edge makes another value of
// a frame.
func TestDHTLosesAnyEdge(t *testing.T) {
	whole := dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xee)
	for i := range whole {
		var lost, doubled []sensors.Edge
		for j, at := range whole {
			edge := sensors.Edge{At: sensortest.Start.Add(at)}
			if j != i {
				lost = append(lost, edge)
			}
			doubled = append(doubled, edge)
			if j == i {
				edge.At = edge.At.Add(20 * time.Microsecond)
				doubled = append(doubled, edge)
			}
		}
		for name, edges := range map[string][]sensors.Edge{"lost": lost, "doubled": doubled} {
			for j := range edges {
				edges[j].Seq = uint32(j)
			}
			frame, err := decodeTrain(edges)
			if err == nil && frame != [5]byte{0x02, 0x8c, 0x01, 0x5f, 0xee} {
				t.Errorf("edge %d %s: got % X", i, name, frame)
			}
		}
	}
	gap := []sensors.Edge{}
	for j, at := range whole {
		gap = append(gap, sensors.Edge{At: sensortest.Start.Add(at), Seq: uint32(j + j/30)})
	}
	if _, err := decodeTrain(gap); err == nil || !strings.Contains(err.Error(), "were dropped") {
		t.Errorf("a gap in the numbers: %v", err)
	}
}

func TestDHTFails(t *testing.T) {
	for _, tc := range []struct {
		name   string
		texts  map[string]string
		breaks func(e *sensortest.Env)
		reason sensors.Reason
		want   string
	}{
		{"no answer", nil, func(e *sensortest.Env) { answers(e, nil) }, sensors.NoAnswer, "no answer on GPIO23 (pin 16)"},
		{"stays low", nil, func(*sensortest.Env) {}, sensors.NoAnswer, "stays low: it needs a resistor"},
		{"too hot", nil, func(e *sensortest.Env) { answers(e, dhtTrain(withSum(2, 0, 3, 0x21)...)) }, sensors.OutOfRange, "80.10"},
		{"too humid", nil, func(e *sensortest.Env) { answers(e, dhtTrain(withSum(3, 0xe9, 1, 0)...)) }, sensors.OutOfRange, "100.1"},
		{"below what a copy sends", nil, func(e *sensortest.Env) { answers(e, dhtTrain(withSum(2, 0, 0xfe, 0x6f)...)) }, sensors.OutOfRange, "outside"},
		{"a frame of zeros", nil, func(e *sensortest.Env) { answers(e, dhtTrain(0, 0, 0, 0, 0)) }, sensors.OutOfRange, "humidity of 0.0 %"},
		{"a frame of zeros of a DHT11", map[string]string{"model": "dht11"}, func(e *sensortest.Env) { answers(e, dhtTrain(0, 0, 0, 0, 0)) }, sensors.OutOfRange, "humidity of 0.0 %"},
		{"a DHT11 taken for a DHT22", nil, func(e *sensortest.Env) { answers(e, dhtTrain(0x35, 0, 0x18, 4, 0x51)) }, sensors.Identity, "looks like a DHT11's: set model=dht11"},
		{"a DHT22 taken for a DHT11", map[string]string{"model": "dht11"}, func(e *sensortest.Env) { answers(e, dhtTrain(2, 0x8c, 1, 0x5f, 0xee)) }, sensors.Identity, "set model=dht22"},
		{"held", nil, func(e *sensortest.Env) { e.Lines["pin"].OpenErr = syscall.EBUSY }, sensors.Busy, "open line GPIO23"},
		{"held, by another name", map[string]string{"pin": "gpiochip0:23"}, func(e *sensortest.Env) { e.Lines["pin"].OpenErr = syscall.EBUSY }, sensors.Busy, "it is used where the line is written GPIO4 or so"},
		{"gone at once", nil, func(e *sensortest.Env) { e.Lines["pin"].Err = syscall.ENODEV }, sensors.IO, "ask the chip on GPIO23"},
		{"gone while it sends", nil, func(e *sensortest.Env) {
			e.OnWait = func(n int) {
				if n == 2 {
					e.Lines["pin"].Err = syscall.ENODEV
				}
			}
		}, sensors.IO, "ask the chip on GPIO23"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "dht", tc.texts, "pin")
			tc.breaks(e)
			fails(t, d, e, tc.reason, tc.want)
			released(t, e)
		})
	}
}

// TestDHTCancelled: wherever the context ends, the line doesn't stay low.
func TestDHTCancelled(t *testing.T) {
	for at := range 3 {
		d, e := wired(t, "dht", nil, "pin")
		answers(e, dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xee))
		ctx, cancel := context.WithCancel(t.Context())
		e.OnWait = func(n int) {
			if n == at {
				cancel()
			}
		}
		if _, _, err := sensortest.ReadContext(ctx, t, d, e); !errors.Is(err, context.Canceled) {
			t.Errorf("wait %d: got %v", at, err)
		}
		if e.Lines["pin"].Config.Output {
			t.Errorf("wait %d: the line is still driven", at)
		}
		released(t, e)
	}
}

// clockless is an environment whose clock fails in one wait.
type clockless struct {
	*sensortest.Env
	left int // waits until then
}

func (c *clockless) Sleep(ctx context.Context, d time.Duration) error {
	if c.left--; c.left == -1 {
		return syscall.EIO
	}
	return c.Env.Sleep(ctx, d)
}

// TestDHTClockFails: without the time that the line must be low there is no
// frame, and the line doesn't stay low.
func TestDHTClockFails(t *testing.T) {
	d, e := wired(t, "dht", nil, "pin")
	answers(e, dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xee))
	s, err := d.New(t.Context(), &clockless{e, 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); !errors.Is(err, syscall.EIO) || e.Lines["pin"].Config.Output {
		t.Errorf("got %v, driven %v", err, e.Lines["pin"].Config.Output)
	}
}

// The kernel's driver, on GPIO4 and on another line.
const iio = "/sys/bus/iio/devices/iio:device"

func bindDHT(e *sensortest.Env, number, name string, offset byte, celsius, percent string) {
	e.FS.Put(iio+number+"/name", name+"\n")
	e.FS.Put(iio+number+"/of_node/gpios", string([]byte{0, 0, 0, 7, 0, 0, 0, offset, 0, 0, 0, 0}))
	e.FS.Put(iio+number+"/in_temp_input", celsius)
	e.FS.Put(iio+number+"/in_humidityrelative_input", percent)
}

func TestDHTByTheKernel(t *testing.T) {
	d, e := wired(t, "dht", map[string]string{"pin": "GPIO4"}, "pin")
	e.Lines["pin"].OpenErr = syscall.EBUSY
	e.FS.Put(iio+"0/name", "bme280\n")
	bindDHT(e, "1", "dht11@11", 17, "11000\n", "22000\n")
	bindDHT(e, "2", "dht11@4", 4, "-10100\n", "65200\n")
	s := build(t, d, e)
	if got := sense(t, d, s); !cmp.Equal(got, map[string]float64{"temperature": -10.1, "humidity": 0.652}) {
		t.Errorf("got %v", got)
	}
	if want := []time.Duration{2 * time.Second}; !cmp.Equal(e.Waits, want) {
		t.Errorf("waits %v, want %v", e.Waits, want)
	}
	// Of a copy of the chip, which sends -2.3 °C as 0xFFE9, the kernel makes -3274.5.
	e.NextWake(time.Minute)
	bindDHT(e, "2", "dht11@4", 4, "-3274500\n", "69500\n")
	if got := sense(t, d, s); !cmp.Equal(got, map[string]float64{"temperature": -2.3, "humidity": 0.695}) {
		t.Errorf("got %v", got)
	}
	// The numbers move.
	e.NextWake(time.Minute)
	bindDHT(e, "1", "dht11@4", 4, "20000\n", "50000\n")
	e.FS.Remove(iio + "2/name")
	if got := sense(t, d, s); got["temperature"] != 20 {
		t.Errorf("got %v", got)
	}
}

func TestDHTByTheKernelFails(t *testing.T) {
	temp, hum, gpios := iio+"0/in_temp_input", iio+"0/in_humidityrelative_input", iio+"0/of_node/gpios"
	for _, tc := range []struct {
		name   string
		breaks func(f *sensortest.Files)
		errno  error
		reason sensors.Reason
		want   string
	}{
		{"no frame", func(f *sensortest.Files) { f.Break(temp, syscall.ETIMEDOUT) }, syscall.ETIMEDOUT, sensors.NoAnswer, "no whole frame"},
		{"checksum", func(f *sensortest.Files) { f.Break(temp, syscall.EIO) }, syscall.EIO, sensors.Checksum, "can't decode the frame"},
		{"checksum of the other", func(f *sensortest.Files) { f.Break(hum, syscall.EIO) }, syscall.EIO, sensors.Checksum, "can't decode the frame"},
		{"empty", func(f *sensortest.Files) { f.Put(temp, "") }, nil, sensors.IO, `in_temp_input holds ""`},
		{"garbage", func(f *sensortest.Files) { f.Put(hum, "damp\n") }, nil, sensors.IO, `holds "damp\n" where`},
		{"unloaded meanwhile", func(f *sensortest.Files) { f.Remove(hum) }, syscall.ENOENT, sensors.IO, "in_humidityrelative_input"},
		{"too cold", func(f *sensortest.Files) { f.Put(temp, "-40100\n") }, nil, sensors.OutOfRange, "-40.10"},
		{"dry", func(f *sensortest.Files) { f.Put(hum, "0\n") }, nil, sensors.OutOfRange, "is model right?"},
		{"not to be read", func(f *sensortest.Files) { f.Break(iio+"0/name", syscall.EACCES) }, syscall.EACCES, sensors.IO, "name"},
		{"line not to be read", func(f *sensortest.Files) { f.Break(gpios, syscall.EACCES) }, syscall.EACCES, sensors.IO, "which line the kernel's dht11@4 is on"},
		{"line in another format", func(f *sensortest.Files) { f.Put(gpios, "\x00\x00\x00\x04") }, nil, sensors.IO, "has 4 bytes, not 12"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "dht", map[string]string{"pin": "BOARD7"}, "pin")
			bindDHT(e, "0", "dht11@4", 4, "21500\n", "44000\n")
			tc.breaks(e.FS)
			_, _, err := sensortest.Read(t, d, e)
			if err == nil || sensors.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.want) || tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("got %v (%s), want %q (%s)", err, sensors.ReasonOf(err), tc.want, tc.reason)
			}
			if e.Lines["pin"].Opened > 0 {
				t.Error("the line was taken while the kernel has it")
			}
		})
	}
}

func FuzzDHTTrain(f *testing.F) {
	var seed []byte
	for i, at := range dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xee) {
		if i > 0 {
			seed = append(seed, byte((at-dhtTrain(0x02, 0x8c, 0x01, 0x5f, 0xee)[i-1])/time.Microsecond))
		}
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, intervals []byte) {
		at := sensortest.Start
		edges := []sensors.Edge{{At: at}}
		for i, us := range intervals {
			at = at.Add(time.Duration(us) * time.Microsecond)
			edges = append(edges, sensors.Edge{At: at, Seq: uint32(i + 1)})
		}
		frame, err := decodeTrain(edges)
		if err == nil && frame[0]+frame[1]+frame[2]+frame[3] != frame[4] {
			t.Errorf("% X was believed", frame)
		}
	})
}

// A time-out that is shorter than the pause before a frame is refused.
func TestDHTTimeout(t *testing.T) {
	d, _ := sensors.DriverByName("dht")
	for _, tt := range []struct {
		model, timeout, err string
	}{
		{"dht22", "2.5s", ""},
		{"am2302", "2.4s", "2.4s is too short for the AM2302, which is left alone for 2s before each frame: give 2.5s or more"},
		{"dht22", "2s", "give 2.5s or more"},
		{"dht11", "1.5s", ""},
		{"dht11", "1s", "give 1.5s or more"},
	} {
		_, err := sensors.NewOptions(d, map[string]string{"pin": "GPIO4", "model": tt.model, "timeout": tt.timeout})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s with timeout=%s: %v, want %q", tt.model, tt.timeout, err, tt.err)
		}
	}
}
