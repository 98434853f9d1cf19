package all

import (
	"strings"
	"testing"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// What is configured about the humidity of a BMP280 that was sold as a BME280
// is an error as soon as the chip has said what it is.
func TestKeysOfWhatTheChipLacks(t *testing.T) {
	measured := func(_ sensors.Instant, what string) float64 {
		return map[string]float64{"temperature": 21, "humidity": 0.5, "pressure": 100_000}[what]
	}
	const lacks = "the chip is a BMP280, which doesn't measure humidity: remove the keys about humidity (--sensor a=…)"
	for _, tt := range []struct{ model, keys, want string }{
		{"bmp280", "", ""},
		{"bmp280", ",temperature.offset=0.5", ""},
		{"bmp280", ",humidity.filter.median=3", lacks},
		{"bmp280", ",humidity.offset=0.02", lacks},
		{"bme280", ",humidity.filter.median=3", ""},
	} {
		clock, err := alarm.New()
		if err != nil {
			t.Fatal(err)
		}
		defer clock.Close()
		b := sim.New(clock, 1)
		b.Attach(sim.BME280, tt.model, measured)
		cfg, err := config.Load(config.Source{SensorFlags: []string{"a=bme280,retries=0" + tt.keys}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := poll.New(poll.Options{Config: cfg, Board: b, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := p.ReadNow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := snapshot.Results[0]
		switch {
		case tt.want == "" && !r.Up:
			t.Errorf("%s%s: %v", tt.model, tt.keys, r.Err)
		case tt.want != "" && (r.Up || r.Err == nil || !strings.Contains(r.Err.Error(), tt.want) || sensors.ReasonOf(r.Err) != sensors.Identity):
			t.Errorf("%s%s: up %t, %v", tt.model, tt.keys, r.Up, r.Err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A chip's name is all that its configuration needs: each name and each model
// has an address of its own where none is given.
func TestNamesAlone(t *testing.T) {
	for _, d := range sensors.Drivers() {
		model, err := d.Option("model")
		if _, noAddress := d.Option("addr"); noAddress != nil || d.Describe != nil {
			continue
		}
		flags := []string{"a=" + d.Name}
		for alias := range d.Aliases {
			flags = append(flags, "a="+alias)
		}
		if err == nil {
			for _, choice := range model.Choices {
				flags = append(flags, "a="+d.Name+",model="+choice)
			}
		}
		for _, flag := range flags {
			if _, err := config.Load(config.Source{SensorFlags: []string{flag}}); err != nil {
				t.Errorf("%s: %v", flag, err)
			}
		}
	}
}
