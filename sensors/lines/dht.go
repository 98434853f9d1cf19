package lines

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.org/dormouse/sensors"
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "dht",
		Summary:   "DHT11 (±2 °C, ±5 %), DHT22 or AM2302 (±0.5 °C, ±2 %) on a GPIO line: temperature and humidity",
		Datasheet: "Aosong DHT11 and AM2302 (DHT22) product manuals, section on the single bus; Linux, drivers/iio/humidity/dht11.c",
		Reasons:   []sensors.Reason{sensors.Checksum, sensors.Identity},
		Wiring:    "3.3 V, and a resistor of 4.7 to 10 kΩ from the line to 3.3 V (most modules have it). Best read by the kernel's driver: dtoverlay=dht11,gpiopin=N; it is used where it is bound to the line. It requires that the decimals of a DHT11 are zero",
		Timing:    "up to 2 s (DHT11: 1 s) that the chip needs after power-up, after a read and after a failed one; the frame itself is done in 30 ms. By user space one frame in some is lost on a busy machine, and read again",
		Aliases:   map[string]string{"dht11": "dht11", "dht22": "dht22", "am2302": "am2302"},
		Options: []sensors.Option{
			pinOption("the line: GPIO4, BOARD7, CHIP:OFFSET or a line's name"),
			{Name: "model", Type: sensors.EnumOption, Choices: []string{"dht11", "dht22", "am2302"}, Default: "dht22", Help: "the chip: blue cases are DHT11, white ones DHT22, which is an AM2302"},
			pullOption(),
			{Name: "timeout", Type: sensors.DurationOption, Default: "10s", Help: "of one attempt: 2.5 s at least, of a DHT11 1.5 s, for the pause before the frame and the frame"},
		},
		Measures: []*sensors.Quantity{sensors.Temperature, sensors.Humidity},
		Notes:    []string{"Copies of a DHT22 that send two's complement below 0 °C are understood."},
		Check:    checkDHT,
		New:      newDHT,
	})
}

// dht is built again after each power-up and after each failed read, and so is
// the pause that the chip needs then: there is no other state to keep.
type dht struct {
	env   sensors.Env
	model *dhtModel
	bias  sensors.Bias
	ready sensors.Instant // not to be read before
	edges []sensors.Edge
}

func newDHT(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	m := dhtModelOf(e.Options())
	return &dht{env: e, model: m, bias: bias(e.Options()), ready: e.Now().Add(m.pause), edges: make([]sensors.Edge, 0, dhtBuffer)}, nil
}

func (s *dht) Sense(ctx context.Context, r *sensors.Report) error {
	if err := s.env.Sleep(ctx, max(0, s.ready.Sub(s.env.Now()))); err != nil {
		return err
	}
	celsius, ratio, err := s.read(ctx)
	s.ready = s.env.Now().Add(s.model.pause)
	if err != nil {
		return err
	}
	// Both are of one frame: where one can't be, the other isn't believed.
	if err := s.model.temperature.Check(celsius); err != nil {
		return fmt.Errorf("%w: is model right?", err)
	}
	if err := s.model.humidity.Check(ratio); err != nil {
		return fmt.Errorf("%w: is model right?", err)
	}
	r.Set(s.model.temperature, celsius)
	r.Set(s.model.humidity, ratio)
	return nil
}

// read asks the kernel's driver where it has the line, and the chip else.
func (s *dht) read(ctx context.Context) (celsius, ratio float64, err error) {
	dir, err := s.device(ctx)
	if err != nil {
		return 0, 0, err
	}
	if dir != "" {
		return s.kernel(ctx, dir)
	}
	frame, err := s.frame(ctx)
	if err != nil {
		return 0, 0, err
	}
	return s.model.decode(frame)
}

// device is the directory of the kernel's driver that is bound to the line,
// "" where there is none. The driver names its devices after its node in the
// device tree, dht11@4 or so, and the node's gpios tell the line: the GPIO
// controller's phandle, the line's offset and flags, 32 bits each. It is looked
// for at each read: numbers move as overlays come and go.
func (s *dht) device(ctx context.Context) (string, error) {
	ref := s.env.Options().Line("pin")
	if ref.BCM < 0 {
		return "", nil // of another chip, perhaps, whose phandle nobody knows
	}
	names, err := s.env.Files().Glob("/sys/bus/iio/devices/iio:device*/name")
	if err != nil {
		return "", fmt.Errorf("look for the kernel's driver: %w", err)
	}
	for _, file := range names {
		name, err := s.env.Files().ReadFile(ctx, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another device that went away meanwhile
		}
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(string(name), "dht11") {
			continue
		}
		gpios, err := s.env.Files().ReadFile(ctx, path.Dir(file)+"/of_node/gpios")
		if err != nil {
			return "", fmt.Errorf("which line the kernel's %s is on: %w", strings.TrimSpace(string(name)), err)
		}
		if len(gpios) != 12 {
			return "", sensors.Errorf(sensors.IO, "which line the kernel's %s is on: %s/of_node/gpios has %d bytes, not 12", strings.TrimSpace(string(name)), path.Dir(file), len(gpios))
		}
		if int(binary.BigEndian.Uint32(gpios[4:])) == ref.BCM {
			return path.Dir(file), nil
		}
	}
	return "", nil
}

// kernel reads what the kernel's driver decodes. It keeps a frame for 2 s, so
// both values are of one.
func (s *dht) kernel(ctx context.Context, dir string) (celsius, ratio float64, err error) {
	if celsius, err = s.thousandths(ctx, dir+"/in_temp_input"); err != nil {
		return 0, 0, err
	}
	if tenths := math.Round(-celsius * 10); tenths > 0 && tenths <= math.MaxInt16 { // of what it took for a sign and a magnitude
		celsius = dht22Celsius(0x8000 | uint16(tenths))
	}
	percent, err := s.thousandths(ctx, dir+"/in_humidityrelative_input")
	return celsius, percent / 100, err
}

func (s *dht) thousandths(ctx context.Context, file string) (float64, error) {
	data, err := s.env.Files().ReadFile(ctx, file)
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return 0, sensors.Errorf(sensors.NoAnswer, "the kernel's driver got no whole frame: check supply, wire and its resistor: %w", err)
	case errors.Is(err, syscall.EIO):
		return 0, sensors.Errorf(sensors.Checksum, "the kernel's driver can't decode the frame, as happens now and then: %w", err)
	case err != nil:
		return 0, err
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 32)
	if err != nil {
		return 0, sensors.Errorf(sensors.IO, "%s holds %.40q where a number of thousandths is expected", file, data)
	}
	return float64(v) / 1000, nil
}

// The frame by its falling edges alone. The single bus sends each bit as 50 µs
// low and then 26 µs (0) or 70 µs (1) high, so one falling edge follows the
// other after 76 or 120 µs (AM2302: 70 to 85, 116 to 130), and after 160 µs
// within the chip's response, which comes first. Half the interrupts of both
// edges have twice the time each, and the level that the kernel finds when
// it gets there doesn't matter.
const (
	dhtBits   = 40
	dhtBuffer = 64                     // events: the response has one edge more than there are bits, and noise has some
	dhtFrame  = 10 * time.Millisecond  // longest: 40 bits of 130 µs and the response
	shortest0 = 55 * time.Microsecond  //
	shortest1 = 100 * time.Microsecond // half way between the two
	longest1  = 140 * time.Microsecond // the response is longer, and so is a bit that lost its edge
)

// frame asks the chip. Pulling the line low and listening are one request: had
// the line to be released in between, the answer would begin unheard.
func (s *dht) frame(ctx context.Context) (frame [5]byte, err error) {
	ref := s.env.Options().Line("pin")
	line, err := s.env.Line("pin", sensors.LineConfig{Output: true, Active: false, Buffer: dhtBuffer})
	if err != nil {
		if sensors.ReasonOf(err) == sensors.Busy && ref.BCM < 0 {
			return frame, fmt.Errorf("%w (if it is the kernel's dht11: it is used where the line is written GPIO4 or so)", err)
		}
		return frame, err
	}
	high, err := s.listen(ctx, line)
	if closing := line.Close(); err == nil {
		err = closing
	}
	switch {
	case err != nil:
		return frame, fmt.Errorf("ask the chip on %s: %w", ref, err)
	case len(s.edges) == 0 && !high:
		return frame, sensors.Errorf(sensors.NoAnswer, "%s stays low: it needs a resistor of 4.7 to 10 kΩ to 3.3 V, or is shorted", ref)
	case len(s.edges) == 0:
		return frame, sensors.Errorf(sensors.NoAnswer, "no answer on %s: check the chip's supply and the wire", ref)
	}
	if frame, err = decodeTrain(s.edges); err != nil {
		return frame, fmt.Errorf("%s: %w", ref, err)
	}
	return frame, nil
}

func (s *dht) listen(ctx context.Context, line sensors.Line) (high bool, err error) {
	s.edges = s.edges[:0]
	asked := s.env.Sleep(ctx, s.model.start)
	// Also where ctx has ended: the line must not stay low.
	if err := line.Reconfigure(sensors.LineConfig{Edges: sensors.FallingEdge, Bias: s.bias}); err != nil {
		return false, err
	}
	if asked != nil {
		return false, asked
	}
	if err := s.env.Sleep(ctx, dhtFrame); err != nil {
		return false, err
	}
	if s.edges, err = line.Edges(s.edges); err != nil {
		return false, err
	}
	return line.Active()
}

// decodeTrain reads the frame from the end of what was heard: the beginning
// may have come before the kernel listened.
func decodeTrain(edges []sensors.Edge) (frame [5]byte, err error) {
	n := len(edges)
	if n < dhtBits+1 {
		return frame, sensors.Errorf(sensors.IO, "a short frame of %d edges, %d are needed: the machine was busy, or the wire is too long", n, dhtBits+1)
	}
	train := edges[n-dhtBits-1:]
	if train[dhtBits].Seq-train[0].Seq != dhtBits {
		return frame, sensors.Errorf(sensors.IO, "edges were dropped from a frame of %d: noise on the line", n)
	}
	for i := range dhtBits {
		took := train[i+1].At.Sub(train[i].At)
		frame[i/8] <<= 1
		switch {
		case took < shortest0 || took > longest1:
			return frame, sensors.Errorf(sensors.IO, "bit %d of the frame lasts %v, which is none: an edge was lost or is noise", i, took)
		case took >= shortest1:
			frame[i/8] |= 1
		}
	}
	if sum := frame[0] + frame[1] + frame[2] + frame[3]; sum != frame[4] {
		return frame, sensors.Errorf(sensors.Checksum, "the frame % X has the checksum %02X, not %02X", frame[:4], frame[4], sum)
	}
	return frame, nil
}

// decodeDHT22 takes tenths of a percent and of a degree.
func decodeDHT22(frame [5]byte) (celsius, ratio float64, err error) {
	humidity := binary.BigEndian.Uint16(frame[0:])
	if _, _, not := decodeDHT11(frame); humidity > 1000 && not == nil {
		return 0, 0, sensors.Errorf(sensors.Identity, "the frame % X looks like a DHT11's: set model=dht11", frame[:4])
	}
	return dht22Celsius(binary.BigEndian.Uint16(frame[2:])), float64(humidity) / 1000, nil
}

// dht22Coldest is -40 °C in two's complement, the lowest that a copy sends.
const dht22Coldest = 0xffff - 400 + 1

// dht22Celsius is of a sign and a magnitude in tenths. Copies of the chip send two's
// complement below zero (Adafruit's library, issue 182; DHTNew, issue 52), which
// is never a magnitude in the chip's range.
func dht22Celsius(word uint16) float64 {
	switch {
	case word >= dht22Coldest:
		return float64(int16(word)) / 10
	case word&0x8000 != 0:
		return 0 - float64(word&0x7fff)/10 // never a negative zero
	}
	return float64(word) / 10
}

// decodeDHT11 takes whole percents and their tenths, whole degrees and their
// tenths, with the sign among the tenths. Old chips have no tenths and no sign.
func decodeDHT11(frame [5]byte) (celsius, ratio float64, err error) {
	tenths := frame[3] & 0x7f
	if frame[1] > 9 || tenths > 9 {
		return 0, 0, sensors.Errorf(sensors.Identity, "the frame % X has no tenths where a DHT11's has: set model=dht22", frame[:4])
	}
	celsius = float64(frame[2]) + float64(tenths)/10
	if frame[3]&0x80 != 0 {
		celsius = 0 - celsius // never a negative zero
	}
	return celsius, (float64(frame[0]) + float64(frame[1])/10) / 100, nil
}
