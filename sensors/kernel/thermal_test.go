package kernel

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// zones makes an environment with thermal zones: type, content of temp, …
func zones(t testing.TB, options map[string]string, zones ...string) *sensortest.Env {
	t.Helper()
	e := sensortest.New(t, sensortest.Driver(t, "thermal"), options)
	for i := 0; i < len(zones); i += 2 {
		dir := "/sys/class/thermal/thermal_zone" + string(rune('0'+i/2))
		e.FS.Put(dir+"/type", zones[i]+"\n")
		e.FS.Put(dir+"/temp", zones[i+1])
	}
	return e
}

func TestThermal(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options map[string]string
		zones   []string
		want    float64
		reason  sensors.Reason // empty: a value
		errHas  string
	}{
		{"a Pi", nil, []string{"cpu-thermal", "48312\n"}, 48.312, "", ""},
		{"below zero", nil, []string{"cpu-thermal", "-5000\n"}, -5, "", ""},
		{"zero", nil, []string{"cpu-thermal", "0\n"}, 0, "", ""},
		{"the processor's among others", nil, []string{"rp1_adc", "1\n", "cpu-thermal", "48312\n"}, 48.312, "", ""},
		{"the only one", nil, []string{"acpitz", "27800\n"}, 27.8, "", ""},
		{"by type", map[string]string{"zone": "rp1_adc"}, []string{"cpu-thermal", "1\n", "rp1_adc", "51000\n"}, 51, "", ""},
		{"several", nil, []string{"acpitz", "1\n", "x86_pkg_temp", "2\n"}, 0, sensors.NoAnswer, "say which with zone (there is acpitz, x86_pkg_temp)"},
		{"none of that type", map[string]string{"zone": "gpu"}, []string{"cpu-thermal", "1\n"}, 0, sensors.NoAnswer, `"gpu": there is cpu-thermal`},
		{"two of that type", map[string]string{"zone": "acpitz"}, []string{"acpitz", "1\n", "acpitz", "2\n"}, 0, sensors.Identity, "2 thermal zones"},
		{"none", nil, nil, 0, sensors.NoAnswer, "no thermal zone"},
		{"empty", nil, []string{"cpu-thermal", ""}, 0, sensors.IO, `""`},
		{"garbage", nil, []string{"cpu-thermal", "hot\n"}, 0, sensors.IO, `"hot"`},
		{"endless", nil, []string{"cpu-thermal", strings.Repeat("9", 5000)}, 0, sensors.IO, "…"},
		{"a sensor that is off", nil, []string{"cpu-thermal", "-274000\n"}, 0, sensors.OutOfRange, "outside"},
		{"ablaze", nil, []string{"cpu-thermal", "150001\n"}, 0, sensors.OutOfRange, "outside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			readings, failures, err := sensortest.Read(t, sensortest.Driver(t, "thermal"), zones(t, tc.options, tc.zones...))
			if len(failures) > 0 {
				err = failures[0].Err
			}
			if tc.reason != "" {
				if err == nil || sensors.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.errHas) {
					t.Errorf("got %v (%s), want %s and %q", err, sensors.ReasonOf(err), tc.reason, tc.errHas)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := sensortest.Value(t, readings, sensors.Temperature); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestThermalErrno(t *testing.T) {
	for _, file := range []string{"type", "temp"} {
		e := zones(t, nil, "cpu-thermal", "48312\n")
		e.FS.Break("/sys/class/thermal/thermal_zone0/"+file, syscall.EIO)
		if _, _, err := sensortest.Read(t, sensortest.Driver(t, "thermal"), e); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want EIO", file, err)
		}
	}
}

// TestThermalRenumbered: a zone's number may become another zone's.
func TestThermalRenumbered(t *testing.T) {
	e := zones(t, nil, "cpu-thermal", "48312\n")
	d := sensortest.Driver(t, "thermal")
	s, err := d.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	e.FS.Put("/sys/class/thermal/thermal_zone0/type", "iwlwifi_1\n")
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); sensors.ReasonOf(err) != sensors.Identity || !strings.Contains(err.Error(), "iwlwifi_1") {
		t.Errorf("got %v, want it to notice", err)
	}
	e.FS.Break("/sys/class/thermal/thermal_zone0/type", syscall.ENOENT)
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v, want ENOENT", err)
	}
}
