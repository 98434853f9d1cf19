package scan

import (
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/board/sim/chips"
	"example.org/dormouse/sensors/config"
)

var weather = chips.World(func(_ sensors.Instant, what string) float64 {
	return map[string]float64{"temperature": 21, "humidity": 0.5, "pressure": 100_000}[what]
})

func configured(t *testing.T, flag string) *config.Config {
	t.Helper()
	cfg, err := config.Load(config.Source{SensorFlags: []string{flag}})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A BMP280 that was sold as a BME280 is named as what it is.
func TestBMP280(t *testing.T) {
	b, s := newBench(t)
	b.Attach(sim.BME280, "bmp280", weather)
	s.scan(t.Context())
	if text := s.text(t); !strings.Contains(text, "0x76  looks like BMP280\n          --sensor=bme280-76=bme280,bus=1,addr=0x76\n") {
		t.Errorf("the scan says\n%s", text)
	}
}

func TestIdentify(t *testing.T) {
	b, s := newBench(t)
	for _, tt := range []struct {
		flag   string
		change func()
		want   string // the beginning of Found.String; empty: it isn't recognised
		fails  bool
	}{
		{flag: "a=bme280", want: "BME280"},
		{flag: "a=bme280", change: func() { b.Attach(sim.BME280, "bmp280", weather) }, want: "BMP280"},
		{flag: "a=sht4x", want: "SHT4x, serial number 0"},
		{flag: "a=tmp102"},
		{flag: "a=thermal"},
		{flag: "a=mcp9808", fails: true},
		{flag: "a=bme280,power=GPIO17", change: func() { b.Power(sim.BME280, 17, false) }, want: "BMP280"},
		{flag: "a=bme280", fails: true}, // without its supply
	} {
		if tt.change != nil {
			tt.change()
		}
		cfg := configured(t, tt.flag)
		found, err := Identify(t.Context(), cfg.Sensors[0], cfg.Rails, b, s.Clock)
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v", tt.flag, err)
		}
		if tt.want == "" && found != (sensors.Found{}) || tt.want != "" && !strings.HasPrefix(found.String(), tt.want) {
			t.Errorf("%s: it is %q, want %q", tt.flag, found, tt.want)
		}
	}
}

// zeros is a chip that answers only zeros.
type zeros struct{}

func (zeros) Reset(sensors.Instant)               {}
func (zeros) Write(sensors.Instant, []byte) error { return nil }
func (zeros) Read(_ sensors.Instant, r []byte) error {
	clear(r)
	return nil
}

// A bus on which a chip was identified isn't called stuck, whichever of the two
// was asked first.
func TestZerosBesideAnIdentifiedChip(t *testing.T) {
	for _, tt := range []struct {
		addr uint16
		says string
	}{
		{0x18, "mcp9808: register 0x06 reads 0x00, while the chip at 0x76 answers as it should"}, // before the BME280
		{0x77, "bme280: the chip's ID reads 0x00, while the chip at 0x"},                         // after it
	} {
		b, s := newBench(t)
		b.Connect(tt.addr, zeros{})
		s.scan(t.Context())
		for _, a := range s.found.Buses[0].Addresses {
			refused := strings.Join(a.Refused, "\n")
			if strings.Contains(refused, "stuck") {
				t.Errorf("%s beside a chip of zeros at 0x%02x:\n%s", a.Address, tt.addr, refused)
			}
			if a.Address == sensors.Address(tt.addr).String() && !strings.Contains(refused, tt.says) {
				t.Errorf("%s:\n%s\nwant %q", a.Address, refused, tt.says)
			}
		}
	}
	b, s := newBench(t)
	for _, addr := range []uint16{sim.BME280, sim.SHT4x, sim.TMP102, sim.ADS1115} {
		b.Remove(addr)
	}
	b.Connect(0x77, zeros{})
	s.scan(t.Context())
	if text := s.text(t); !strings.Contains(text, "the chip's ID reads 0x00: the bus is stuck, or the chip has no supply") {
		t.Errorf("a chip of zeros alone:\n%s", text)
	}
}

// A stranger reads 0x42 everywhere.
type stranger struct{}

func (stranger) Reset(sensors.Instant)               {}
func (stranger) Write(sensors.Instant, []byte) error { return nil }
func (stranger) Read(_ sensors.Instant, r []byte) error {
	for i := range r {
		r[i] = 0x42
	}
	return nil
}
