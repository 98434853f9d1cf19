package sensors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetricNames(t *testing.T) {
	for q, want := range map[*Quantity]string{
		Temperature:             "sensor_temperature_celsius",
		Humidity:                "sensor_humidity_ratio",
		Pressure:                "sensor_pressure_pascals",
		Illuminance:             "sensor_illuminance_lux",
		UVIndex:                 "sensor_uv_index",
		CarbonDioxide:           "sensor_carbon_dioxide_ppm",
		EquivalentCarbonDioxide: "sensor_equivalent_carbon_dioxide_ppm",
		VolatileOrganics:        "sensor_volatile_organic_compounds_ppb",
		AirQuality:              "sensor_air_quality_index",
		ParticulateMatter:       "sensor_particulate_matter_grams_per_cubic_meter",
		Active:                  "sensor_active",
		Transitions:             "sensor_transitions_total",
		LastChange:              "sensor_last_change_timestamp_seconds",
		Pulses:                  "sensor_pulses_total",
		Frequency:               "sensor_frequency_hertz",
		Duty:                    "sensor_duty_ratio",
		Voltage:                 "sensor_voltage_volts",
		Current:                 "sensor_current_amperes",
		Power:                   "sensor_power_watts",
		Energy:                  "sensor_energy_joules_total",
		Battery:                 "sensor_battery_ratio",
		Resistance:              "sensor_resistance_ohms",
		Moisture:                "sensor_moisture_ratio",
		Distance:                "sensor_distance_meters",
		Mass:                    "sensor_mass_grams",
		Precipitation:           "sensor_precipitation_meters_total",
		Volume:                  "sensor_volume_cubic_meters_total",
		Rotations:               "sensor_rotations_total",
		VOCRaw:                  "sensor_voc_raw",
		NOxRaw:                  "sensor_nox_raw",
		Concentration:           "sensor_concentration_ppm",
		PH:                      "sensor_ph",
		Conductivity:            "sensor_conductivity_siemens_per_meter",
		DissolvedOxygen:         "sensor_dissolved_oxygen_grams_per_cubic_meter",
		Redox:                   "sensor_redox_volts",
		WindDirection:           "sensor_wind_direction_degrees",
		LightningStrikes:        "sensor_lightning_strikes_total",
		LightningDistance:       "sensor_lightning_distance_meters",
		SoundLevel:              "sensor_sound_level_decibels",
		DoseRate:                "sensor_dose_rate_sieverts_per_hour",
		DifferentialPressure:    "sensor_differential_pressure_pascals",
		ColorTemperature:        "sensor_color_temperature_kelvin",
		LightIntensity:          "sensor_light_intensity",
		Acceleration:            "sensor_acceleration_meters_per_second_squared",
		AngularVelocity:         "sensor_angular_velocity_radians_per_second",
		Angle:                   "sensor_angle_degrees",
		MagneticField:           "sensor_magnetic_field_teslas",
		Proximity:               "sensor_proximity",
		Capacitance:             "sensor_capacitance_farads",
		Charge:                  "sensor_charge_coulombs",
		StoredEnergy:            "sensor_stored_energy_joules",
		RemainingTime:           "sensor_remaining_time_seconds",
		Throttled:               "sensor_throttled",
		Number:                  "sensor_value",
		ExitStatus:              "dormouse_command_exit_status",
		ExitDuration:            "dormouse_command_duration_seconds",
	} {
		if got := q.MetricName(); got != want {
			t.Errorf("%s is %s, want %s", q.Name, got, want)
		}
	}
}

// The families of all quantities are what Prometheus' own linter expects.
func TestQuantitiesLint(t *testing.T) {
	var page strings.Builder
	all := []*Quantity{ExitStatus, ExitDuration}
	for _, name := range QuantityNames() {
		q, ok := QuantityByName(name)
		if !ok || q.Name != name {
			t.Errorf("%s is not found by its name", name)
		}
		all = append(all, q)
	}
	for _, q := range all {
		if !strings.HasSuffix(q.Help, ".") {
			t.Errorf("the help of %s is no sentence: %q", q.Name, q.Help)
		}
		if q.Unit == nil {
			t.Errorf("%s has no unit", q.Name)
		}
		fmt.Fprintf(&page, "# HELP %s %s\n# TYPE %s %s\n%s 1\n", q.MetricName(), q.Help, q.MetricName(), q.Kind, q.MetricName())
	}
	problems, err := promlint.New(strings.NewReader(page.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestQuantityByNameKeepsLabels(t *testing.T) {
	if q, _ := QuantityByName("particulate_matter"); q != ParticulateMatter {
		t.Errorf("found another: %+v", q)
	}
	if q, ok := QuantityByName("temprature"); ok {
		t.Errorf("found %+v", q)
	}
}

func TestQuantityVariants(t *testing.T) {
	q := Voltage.With("channel").Within(0, 5)
	if q.MetricName() != Voltage.MetricName() || len(Voltage.Labels) != 0 || Voltage.Range.Max == 5 {
		t.Errorf("a variant changed its origin: %+v %+v", q, Voltage)
	}
	if err := q.Check(5.1); err == nil || Voltage.Check(5.1) != nil {
		t.Errorf("5.1 V in 0 to 5 V: %v", err)
	}
}

func TestQuantityCheck(t *testing.T) {
	for _, tt := range []struct {
		q  *Quantity
		v  float64
		ok bool
	}{
		{Temperature, 0, true}, {Temperature, -273.15, true}, {Temperature, -273.16, false}, {Temperature, 1800, true},
		{Humidity, 1, true}, {Humidity, 1.0001, false}, {Humidity, -0.0001, false},
		{Temperature, math.NaN(), false}, {Energy, math.Inf(1), false}, {Energy, 1e30, true}, {Number, math.NaN(), false},
	} {
		err := tt.q.Check(tt.v)
		if (err == nil) != tt.ok {
			t.Errorf("%s.Check(%v) = %v", tt.q.Name, tt.v, err)
		}
		if err != nil && ReasonOf(err) != OutOfRange {
			t.Errorf("%s.Check(%v) is of the class %s", tt.q.Name, tt.v, ReasonOf(err))
		}
	}
	if err := Humidity.Check(1.0001); err == nil || !strings.Contains(err.Error(), "1.0001") {
		t.Errorf("the value can't be told from the bound: %v", err)
	}
}

func TestReasonOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Reason
	}{
		{syscall.EREMOTEIO, NoAnswer}, {syscall.ENXIO, NoAnswer}, {syscall.ETIMEDOUT, Timeout},
		{context.DeadlineExceeded, Timeout}, {os.ErrDeadlineExceeded, Timeout},
		{syscall.EBUSY, Busy}, {syscall.EAGAIN, Busy}, {syscall.EIO, IO}, {errors.New("x"), IO},
		{Errorf(Checksum, "x: %w", syscall.EBUSY), Checksum},
		{Errorf(Identity, "x"), Identity},
		{os.NewSyscallError("ioctl", syscall.EREMOTEIO), NoAnswer},
	} {
		err := fmt.Errorf("read 0x76: %w", tt.err)
		if got := ReasonOf(err); got != tt.want {
			t.Errorf("ReasonOf(%v) = %s, want %s", err, got, tt.want)
		}
		if !errors.Is(err, tt.err) {
			t.Errorf("%v lost its cause", err)
		}
	}
	if !errors.Is(Errorf(Checksum, "x: %w", syscall.EBUSY), syscall.EBUSY) {
		t.Error("Errorf loses errno")
	}
}

// A range without an end is told by its beginning alone.
func TestCheckOfACounterBelowZero(t *testing.T) {
	q := *Pulses
	q.Range = &Range{Max: math.MaxFloat64} // as a counter's that has none
	err := q.Check(-5)
	if err == nil || !strings.HasSuffix(err.Error(), "pulses of -5.00 is below 0.00") {
		t.Errorf("got %v", err)
	}
}
