package kernel

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

const iioDir = "/sys/bus/iio/devices/iio:device0"

// attributes puts files below a directory: name, content, …
func attributes(e *sensortest.Env, dir string, files ...string) {
	for i := 0; i < len(files); i += 2 {
		e.FS.Put(dir+"/"+files[i], files[i+1]+"\n")
	}
}

// iioDevice is an environment with one device and these attributes.
func iioDevice(t testing.TB, options map[string]string, name string, files ...string) *sensortest.Env {
	t.Helper()
	if options["device"] == "" {
		options = maps.Clone(options)
		if options == nil {
			options = map[string]string{}
		}
		options["device"] = name
	}
	e := sensortest.New(t, sensortest.Driver(t, "iio"), options)
	attributes(e, iioDir, append([]string{"name", name}, files...)...)
	return e
}

// series writes readings as name{labels} value, in order.
func series(readings []sensors.Reading) string {
	var lines []string
	for _, r := range readings {
		labels := ""
		for i, l := range r.Labels {
			labels += fmt.Sprintf(" %s=%s", r.Quantity.Labels[i], l)
		}
		lines = append(lines, fmt.Sprintf("%s%s %.9g", r.Quantity.MetricName(), labels, r.Value))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestIIOUnits has each type of channel with the number that is one of its
// base unit, or a plain one, by the kernel's document.
func TestIIOUnits(t *testing.T) {
	for _, tc := range []struct{ attribute, content, want string }{
		{"in_voltage0_input", "1500", "sensor_voltage_volts channel=voltage0 1.5"},
		{"in_voltage0_supply_input", "5012", "sensor_voltage_volts channel=voltage0_supply 5.012"},
		{"in_current1_raw", "250", "sensor_current_amperes channel=current1 0.25"}, // without a scale it is processed
		{"in_power0_input", "1200", "sensor_power_watts channel=power0 1.2"},
		{"in_accel_x_input", "-9.806650", "sensor_acceleration_meters_per_second_squared channel=accel_x -9.80665"},
		{"in_accel_linear_x_input", "1", "sensor_acceleration_meters_per_second_squared channel=accel_linear_x 1"},
		{"in_anglvel_z_input", "0.5", "sensor_angular_velocity_radians_per_second channel=anglvel_z 0.5"},
		{"in_magn_y_input", "0.483000", "sensor_magnetic_field_teslas channel=magn_y 4.83e-05"},
		{"in_illuminance_input", "28067", "sensor_illuminance_lux 28067"},
		{"in_illuminance0_input", "12", "sensor_illuminance_lux channel=illuminance0 12"},
		{"in_intensity_both_raw", "4321", "sensor_light_intensity channel=intensity_both 4321"},
		{"in_proximity_raw", "77", "sensor_proximity 77"},
		{"in_temp_input", "-25062", "sensor_temperature_celsius -25.062"},
		{"in_temp_input", "0", "sensor_temperature_celsius 0"},
		{"in_temp_object_input", "23190", "sensor_temperature_celsius channel=temp_object 23.19"},
		{"in_incli_x_input", "12.5", "sensor_angle_degrees channel=incli_x 12.5"},
		{"in_rot_yaw_input", "90", "sensor_angle_degrees channel=rot_yaw 90"},
		{"in_angl_input", "3.141592653590", "sensor_angle_degrees 180"},
		{"in_capacitance0_input", "470", "sensor_capacitance_farads channel=capacitance0 4.7e-07"},
		{"in_cct_input", "6500", "sensor_color_temperature_kelvin 6500"},
		{"in_colortemp_input", "2700", "sensor_color_temperature_kelvin 2700"},
		{"in_pressure_input", "100.653267578", "sensor_pressure_pascals 100653.268"},
		{"in_humidityrelative_input", "48800", "sensor_humidity_ratio 0.488"},
		{"in_energy0_input", "3600", "sensor_energy_joules_total channel=energy0 3600"},
		{"in_distance_input", "1.25", "sensor_distance_meters 1.25"},
		{"in_concentration_co2_input", "0.043910", "sensor_carbon_dioxide_ppm 439.1"},
		{"in_concentration_voc_input", "0.000005427", "sensor_volatile_organic_compounds_ppb 54.27"},
		{"in_concentration_o2_input", "20.95", "sensor_concentration_ppm channel=concentration_o2 209500"},
		{"in_concentration_input", "1", "sensor_concentration_ppm channel=concentration 10000"},
		{"in_resistance_input", "12946860", "sensor_resistance_ohms 12946860"},
		{"in_ph_input", "7.01", "sensor_ph 7.01"},
		{"in_uvindex_input", "3", "sensor_uv_index 3"},
		{"in_electricalconductivity_input", "0.0455", "sensor_conductivity_siemens_per_meter 0.0455"},
		{"in_gravity_z_input", "9.8", "sensor_acceleration_meters_per_second_squared channel=gravity_z 9.8"},
		{"in_phase0_input", "1.570796326795", "sensor_angle_degrees channel=phase0 90"},
		{"in_massconcentration_pm2p5_input", "123.600000", "sensor_particulate_matter_grams_per_cubic_meter size=2.5 0.0001236"},
		{"in_massconcentration1_pm10_input", "12", "sensor_particulate_matter_grams_per_cubic_meter size=10 channel=massconcentration1_pm10 1.2e-05"},
	} {
		t.Run(tc.attribute, func(t *testing.T) {
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "iio"), iioDevice(t, nil, "chip", tc.attribute, tc.content))
			if err != nil || len(failures) > 0 {
				t.Fatalf("failures %v, error %v", failures, err)
			}
			if got := series(readings); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Every type of channel is read, in a test above, or says why it isn't.
func TestIIOKinds(t *testing.T) {
	source, err := os.ReadFile("iio_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range iioKinds {
		read := regexp.MustCompile(`\{"in_` + k.kind + `[0-9_]`).Match(source)
		if read != (k.quantity != nil) || (k.why != "") == read || (k.unit != "") != read {
			t.Errorf("%s: quantity %v, unit %q, why %q, tested %t", k.kind, k.quantity, k.unit, k.why, read)
		}
		if k.quantity != nil {
			continue
		}
		_, _, err := sensortest.Read(t, sensortest.Driver(t, "iio"), iioDevice(t, nil, "chip", "in_"+k.kind+"0_input", "1"))
		if sensors.ReasonOf(err) != sensors.NoAnswer || !strings.Contains(fmt.Sprint(err), k.kind+"0: "+k.why) {
			t.Errorf("%s: got %v", k.kind, err)
		}
	}
}

// TestIIOScale reads raw numbers, with the scale and the offset of the channel,
// of its type, or of all inputs. The numbers are those of Linux' drivers.
func TestIIOScale(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files []string
		want  string
	}{
		{"ads1015's own", []string{"in_voltage0_raw", "1000", "in_voltage0_scale", "3.000000000"}, "sensor_voltage_volts channel=voltage0 3"},
		{"shared by type", []string{"in_voltage0_raw", "1000", "in_voltage_scale", "0.125"}, "sensor_voltage_volts channel=voltage0 0.125"},
		{"its own wins", []string{"in_voltage0_raw", "1000", "in_voltage0_scale", "1", "in_voltage_scale", "5"}, "sensor_voltage_volts channel=voltage0 1"},
		{"shared by all", []string{"in_voltage0_raw", "1000", "in_scale", "2"}, "sensor_voltage_volts channel=voltage0 2"},
		{"differential", []string{"in_voltage0-voltage1_raw", "-400", "in_voltage0-voltage1_scale", "2"}, "sensor_voltage_volts channel=voltage0-voltage1 -0.8"},
		{"differential, shared", []string{"in_voltage2-voltage3_raw", "400", "in_voltage-voltage_scale", "2"}, "sensor_voltage_volts channel=voltage2-voltage3 0.8"},
		{"bh1750", []string{"in_illuminance_raw", "33680", "in_illuminance_scale", "0.833333"}, "sensor_illuminance_lux 28066.6554"},
		{"mlx90614's offset", []string{"in_temp_object_raw", "15058", "in_temp_offset", "-13657.500000", "in_temp_scale", "20"}, "sensor_temperature_celsius channel=temp_object 28.01"},
		{"si7020's offset", []string{"in_humidityrelative_raw", "6600", "in_humidityrelative_offset", "-786", "in_humidityrelative_scale", "7.629394531"}, "sensor_humidity_ratio 0.443572998"},
		{"input wins", []string{"in_temp_raw", "1", "in_temp_scale", "1", "in_temp_input", "25080"}, "sensor_temperature_celsius 25.08"},
		{"a modifier, shared", []string{"in_accel_x_raw", "16384", "in_accel_scale", "0.000598550"}, "sensor_acceleration_meters_per_second_squared channel=accel_x 9.8066432"},
		{"a unitless kind isn't scaled by its gain", []string{"in_intensity_ir_raw", "100", "in_intensity_scale", "16"}, "sensor_light_intensity channel=intensity_ir 100"},
		{"what isn't the value", []string{"in_temp_input", "1000", "in_temp_peak_raw", "9", "in_temp_mean_raw", "9", "in_anglvel_z_quadrature_correction_raw", "9", "sampling_frequency", "9", "in_voltage0_raw", "9"}, "sensor_temperature_celsius 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "iio"), iioDevice(t, nil, "chip", tc.files...))
			if err != nil || len(failures) > 0 {
				t.Fatalf("failures %v, error %v", failures, err)
			}
			if got := series(readings); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestIIOQuirks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		files  []string
		want   string
		reason sensors.Reason
		errHas string
	}{
		{"veml6030", []string{"in_illuminance_raw", "1480", "in_illuminance_scale", "0.125", "in_illuminance_input", "85.248000"}, "sensor_illuminance_lux 85.248", "", ""},
		{"veml6030", []string{"in_illuminance_raw", "1480", "in_illuminance_scale", "0.125"}, "", sensors.NoAnswer, "scale is the gain"},
		{"bme680", []string{"in_humidityrelative_input", "48.800000000", "in_pressure_input", "100.653000000"}, "sensor_humidity_ratio 0.488\nsensor_pressure_pascals 100653", "", ""},
		{"hts221", []string{"in_temp_raw", "782", "in_temp_scale", "0.024781250", "in_temp_offset", "0", "in_humidityrelative_raw", "1000", "in_humidityrelative_scale", "0.002687500", "in_humidityrelative_offset", "14211"},
			"sensor_humidity_ratio 0.408795625\nsensor_temperature_celsius 19.3789375", "", ""},
		{"bme680", []string{"in_pressure_input", "1006.530000000"}, "", sensors.OutOfRange, "outside what the chip can measure"},
		{"bme680", []string{"in_humidityrelative_input", "48800"}, "", sensors.OutOfRange, "outside"},
		{"bmp280", []string{"in_pressure_input", "0.000000000"}, "", sensors.OutOfRange, "outside"},
		{"sgp30", []string{"in_concentration_co2_input", "0.000412", "in_concentration_voc_input", "0.000000054"}, "sensor_equivalent_carbon_dioxide_ppm 412\nsensor_volatile_organic_compounds_ppb 54", "", ""},
		{"ccs811", []string{"in_concentration_co2_raw", "612", "in_concentration_co2_scale", "0.000100"}, "sensor_equivalent_carbon_dioxide_ppm 612", "", ""},
		{"scd4x", []string{"in_concentration_co2_raw", "500", "in_concentration_co2_scale", "0.000100"}, "sensor_carbon_dioxide_ppm 500", "", ""},
		{"vl53l0x", []string{"in_distance_raw", "1250", "in_distance_scale", "0.001000"}, "sensor_distance_meters 1.25", "", ""},
		{"vl53l0x", []string{"in_distance_raw", "8191", "in_distance_scale", "0.001000"}, "", sensors.OutOfRange, "outside what the chip can measure"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "iio"), iioDevice(t, nil, tc.name, tc.files...))
			if len(failures) > 0 {
				err = failures[0].Err
			}
			if tc.reason != "" {
				if sensors.ReasonOf(err) != tc.reason || !strings.Contains(fmt.Sprint(err), tc.errHas) {
					t.Errorf("got %v, %v (%s), want %s and %q", readings, err, sensors.ReasonOf(err), tc.reason, tc.errHas)
				}
				return
			}
			if got := series(readings); err != nil || got != tc.want {
				t.Errorf("got %s, %v, want %s", got, err, tc.want)
			}
		})
	}
	for _, q := range iioQuirks {
		for _, name := range q.names {
			if iioQuirkOf(name).note != q.note {
				t.Errorf("%s has the quirk of another", name)
			}
		}
	}
	if q := iioQuirkOf("dht11@4"); !strings.Contains(q.note, "dht") {
		t.Errorf("dht11@4: %q", q.note)
	}
}

func TestIIOOnly(t *testing.T) {
	files := []string{"in_temp_input", "1000", "in_voltage0_raw", "5", "in_voltage_scale", "1", "in_voltage1_raw", "7", "in_distance_raw", "3"}
	e := iioDevice(t, map[string]string{"only": sensors.JoinList("voltage1", "temp", "voltage1")}, "chip", files...)
	readings, _, err := sensortest.Read(t, sensortest.Driver(t, "iio"), e)
	if got := series(readings); err != nil || got != "sensor_temperature_celsius 1\nsensor_voltage_volts channel=voltage1 0.007" {
		t.Errorf("got %s, %v", got, err)
	}
	if slices.Contains(e.FS.Read, iioDir+"/in_voltage0_raw") {
		t.Error("a channel that wasn't chosen was measured")
	}
	_, _, err = sensortest.Read(t, sensortest.Driver(t, "iio"), iioDevice(t, map[string]string{"only": "voltage9"}, "chip", files...))
	for _, want := range []string{`"voltage9"`, "temp, voltage0, voltage1", "distance: it has no scale"} {
		if sensors.ReasonOf(err) != sensors.NoAnswer || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// One channel with a label may fail alone; what has none makes the read fail.
func TestIIOFailures(t *testing.T) {
	files := []string{"in_voltage0_raw", "5", "in_voltage1_raw", "7", "in_voltage_scale", "1", "in_voltage_offset", "1"}
	for _, tc := range []struct {
		name   string
		spoil  func(fs *sensortest.Files)
		reason sensors.Reason
		errno  error
		alone  bool // voltage1 stands
	}{
		{"EIO", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage0_raw", syscall.EIO) }, sensors.IO, syscall.EIO, true},
		{"ETIMEDOUT", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage0_raw", syscall.ETIMEDOUT) }, sensors.Timeout, syscall.ETIMEDOUT, true},
		{"EAGAIN", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage0_raw", syscall.EAGAIN) }, sensors.NotReady, syscall.EAGAIN, true},
		{"EBUSY", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage0_raw", syscall.EBUSY) }, sensors.NotReady, syscall.EBUSY, true},
		{"ENODATA", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage0_raw", syscall.ENODATA) }, sensors.NotReady, syscall.ENODATA, true},
		{"empty", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage0_raw", "") }, sensors.IO, nil, true},
		{"infinite", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage0_raw", "inf\n") }, sensors.IO, nil, true},
		{"in dB", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage0_raw", "3.000000 dB\n") }, sensors.IO, nil, true},
		{"several numbers", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage0_raw", "1 2 3 \n") }, sensors.IO, nil, true},
		{"huge", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage0_raw", "999999999999\n") }, sensors.OutOfRange, nil, true},
		{"scale gives EIO", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage_scale", syscall.EIO) }, sensors.IO, syscall.EIO, false},
		{"scale is 0", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage_scale", "0.000000\n") }, sensors.IO, nil, false},
		{"scale is empty", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage_scale", "\n") }, sensors.IO, nil, false},
		{"offset gives EIO", func(fs *sensortest.Files) { fs.Break(iioDir+"/in_voltage_offset", syscall.EIO) }, sensors.IO, syscall.EIO, false},
		{"offset is garbage", func(fs *sensortest.Files) { fs.Put(iioDir+"/in_voltage_offset", "0x10\n") }, sensors.IO, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := iioDevice(t, nil, "chip", files...)
			tc.spoil(e.FS)
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "iio"), e)
			if len(failures) > 0 {
				if !slices.Equal(failures[0].Labels, []string{"voltage0"}) {
					t.Errorf("the failure is of %q", failures[0].Labels)
				}
				err = failures[0].Err
			}
			if sensors.ReasonOf(err) != tc.reason || tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("got %v (%s), want %s, %v", err, sensors.ReasonOf(err), tc.reason, tc.errno)
			}
			if alone := series(readings) == "sensor_voltage_volts channel=voltage1 0.008"; alone != tc.alone || !alone && len(readings) > 0 {
				t.Errorf("beside it there is %s", series(readings))
			}
		})
	}
	e := iioDevice(t, nil, "bme280", "in_temp_input", "25080", "in_pressure_input", "100.6")
	e.FS.Break(iioDir+"/in_temp_input", syscall.EIO)
	if readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "iio"), e); !errors.Is(err, syscall.EIO) || len(readings)+len(failures) > 0 {
		t.Errorf("half of a measurement: %v, %v, %v", readings, failures, err)
	}
}

// FuzzIIONumber: whatever an attribute holds is a finite number or an error.
func FuzzIIONumber(f *testing.F) {
	for _, seed := range []string{"1", "-0.000001", "inf", "NaN", "0x1p4", "1_0", "1e400", "", "\x00", "9999999999999999999", "1.", "--1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseNumber("f", text)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0) || strings.Trim(text, "+-.0123456789") != "") {
			t.Errorf("%q is %v", text, v)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	})
}
