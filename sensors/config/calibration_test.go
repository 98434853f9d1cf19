package config

import (
	"math"
	"testing"
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
		{"points, scale, offset", Calibration{Points: bent, Scale: 0.5, Offset: 1}, 5, 26},
	} {
		if got := tt.c.Apply(tt.v); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: Apply(%v) = %v, want %v", tt.name, tt.v, got, tt.want)
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
		if c.Apply(p.Calibrate.Apply(v)) == 0 {
			t.Fatal("an unlikely value")
		}
	}); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}
