package config

import (
	"math"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

func TestCalibrationApply(t *testing.T) {
	moisture := [][2]float64{{1.2, 1}, {2.8, 0}}
	bent := [][2]float64{{0, 0}, {10, 100}, {20, 110}}
	for _, tt := range []struct {
		name    string
		c       Calibration
		v, want float64
	}{
		{"none", Calibration{}, 21.5, 21.5},
		{"offset", Calibration{Offset: -0.8}, 21.5, 20.7},
		{"scale", Calibration{Scale: 2}, 3.7, 7.4},
		{"scale, then offset", Calibration{Scale: 2, Offset: 1}, 3, 7},
		{"on a point", Calibration{Points: moisture}, 2.8, 0},
		{"on the other", Calibration{Points: moisture}, 1.2, 1},
		{"between", Calibration{Points: moisture}, 2.0, 0.5},
		{"beyond", Calibration{Points: moisture}, 3.0, -0.125},
		{"below", Calibration{Points: moisture}, 1.0, 1.125},
		{"first segment", Calibration{Points: bent}, 5, 50},
		{"corner", Calibration{Points: bent}, 10, 100},
		{"second segment", Calibration{Points: bent}, 15, 105},
		{"beyond the last", Calibration{Points: bent}, 30, 120},
		{"before the first", Calibration{Points: bent}, -1, -10},
		{"it is said", Calibration{Points: bent, Beyond: Extrapolate}, 30, 120},
		{"held at the last", Calibration{Points: bent, Beyond: ClampEnds}, 30, 110},
		{"held at the first", Calibration{Points: bent, Beyond: ClampEnds, Offset: 1}, -1, 1},
		{"held between", Calibration{Points: bent, Beyond: ClampEnds}, 5, 50},
		{"refused beyond, at the end", Calibration{Points: bent, Beyond: Refuse}, 20, 110},
		{"refused beyond, at the beginning", Calibration{Points: bent, Beyond: Refuse}, 0, 0},
		{"points, scale, offset", Calibration{Points: bent, Scale: 0.5, Offset: 1}, 5, 26},
	} {
		if got, err := tt.c.Apply(tt.v); err != nil || math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: Apply(%v) = %v, %v, want %v", tt.name, tt.v, got, err, tt.want)
		}
	}
}

func TestCalibrationRefuses(t *testing.T) {
	c := Calibration{Points: [][2]float64{{1.2, 1}, {2.8, 0}}, Beyond: Refuse}
	for _, v := range []float64{1.19, 2.81, math.NaN(), math.Inf(1)} {
		if got, err := c.Apply(v); err == nil || sensors.ReasonOf(err) != sensors.OutOfRange || !strings.Contains(err.Error(), "the points reach from 1.2 to 2.8") {
			t.Errorf("Apply(%v) = %v, %v", v, got, err)
		}
	}
}

func TestBounds(t *testing.T) {
	inf := math.Inf(1)
	for text, want := range map[string]sensors.Range{
		"-20:50": {Min: -20, Max: 50}, "0:": {Min: 0, Max: inf}, ":5": {Min: -inf, Max: 5}, "32°F:212°F": {Min: 0, Max: 100},
	} {
		cfg := flags(t, `a=tmp102,drop="`+text+`",clamp="`+text+`"`).Sensors[0].All
		if cfg.Drop == nil || cfg.Clamp == nil || math.Abs(cfg.Drop.Min-want.Min) > 1e-9 || math.Abs(cfg.Clamp.Max-want.Max) > 1e-9 {
			t.Errorf("%s: drop %v, clamp %v", text, cfg.Drop, cfg.Clamp)
		}
	}
	cfg := file(t, "sensors: [{name: a, driver: ads1115, channels: {a0: {quantity: moisture, points: [[2.8, 0], [1.2, 1]], beyond: clamp, clamp: [0%, 1], drop: '-0.5:1.5'}}}]").Sensors[0].Channels["a0"]
	if *cfg.Clamp != (sensors.Range{Min: 0, Max: 1}) || *cfg.Drop != (sensors.Range{Min: -0.5, Max: 1.5}) || cfg.Calibrate.Beyond != ClampEnds {
		t.Errorf("%+v", cfg)
	}
	for flag, want := range map[string]string{
		`a=tmp102,drop=5`:                                           `drop: "5" is not a range: write LOW:HIGH`,
		`a=tmp102,clamp=":"`:                                        "is not a range",
		`a=tmp102,clamp="1 2 3"`:                                    "is not a range",
		`a=tmp102,clamp="2:1"`:                                      "the range begins at 2 and ends at 1: write the lower end first",
		`a=tmp102,drop="1:x"`:                                       "not a number",
		`a=bme280,drop="0:1"`:                                       "drop: driver bme280 measures more than one thing: name the quantity",
		`a=pulse,pin=GPIO5,pulses.clamp="0:1"`:                      "a counter has no range",
		`a=tmp102,calibrate.beyond=clamp`:                           "and there are none",
		`a=tmp102,points="0:0 1:1",beyond=stop`:                     "beyond",
		`a=tmp102,calibrate.points="0:0 1:1",calibrate.beyond=stop`: "not one of extrapolate, clamp, error",
	} {
		if _, err := Load(Source{SensorFlags: []string{flag}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", flag, err, want)
		}
	}
}

func TestProcessingAllocatesNothing(t *testing.T) {
	c := Calibration{Scale: 2, Offset: 1, Points: [][2]float64{{0, 0}, {1, 2}}}
	cfg := flags(t, `beds=ads1115,a0.quantity=moisture,a0.points="2.8:0 1.2:1",filter.median=5`).Sensors[0]
	v := 0.
	if n := testing.AllocsPerRun(1000, func() {
		v++
		p := cfg.ProcessingOf("a0", "voltage")
		once, err := p.Calibrate.Apply(v)
		if twice, again := c.Apply(once); err != nil || again != nil || twice == 0 {
			t.Fatal("an unlikely value")
		}
	}); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}
