package kernel

import (
	"context"
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
		{"several", nil, []string{"acpitz", "1\n", "x86_pkg_temp", "2\n"}, 0, sensors.NoAnswer, "choose one with zone (there is acpitz, x86_pkg_temp)"},
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

// quick is an environment whose files can be read at once, as board's: each
// that is put anew has another inode.
type quick struct {
	*sensortest.Env
	files quickFiles
}

type quickFiles struct {
	*sensortest.Files
	inodes map[string]uint64
}

func (q *quick) Files() sensors.Files { return q.files }

func (q *quick) put(path, content string) {
	q.FS.Put(path, content)
	q.files.inodes[path]++
}

func (f quickFiles) ReadAtOnce(path string) ([]byte, uint64, error) {
	inode := f.inodes[path] + 1
	data, err := f.ReadFile(context.Background(), path)
	return data, inode, err
}

func quickly(e *sensortest.Env) *quick { return &quick{e, quickFiles{e.FS, map[string]uint64{}}} }

// TestThermalRenumbered: a zone's number may become another zone's, whose
// attributes are others then.
func TestThermalRenumbered(t *testing.T) {
	const dir = "/sys/class/thermal/thermal_zone0"
	d := sensortest.Driver(t, "thermal")
	for _, first := range []string{"cpu-thermal", "rp1_adc"} {
		e := quickly(zones(t, nil, first, "48312\n"))
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		become := func(typ string) {
			for file, content := range map[string]string{"type": typ, "temp": "51000"} {
				e.put(dir+"/"+file, content+"\n")
			}
		}
		for range 2 { // the second time with what the first has found out
			if readings, _, err := sensortest.Sense(t.Context(), t, d, s); err != nil || sensortest.Value(t, readings, sensors.Temperature) != 48.312 {
				t.Fatalf("%s: got %v, %v", first, readings, err)
			}
		}
		become("iwlwifi_1")
		for range 2 {
			if _, _, err := sensortest.Sense(t.Context(), t, d, s); sensors.ReasonOf(err) != sensors.Identity || !strings.Contains(err.Error(), "iwlwifi_1") {
				t.Errorf("%s: got %v, want it to notice", first, err)
			}
		}
		become(first)
		if readings, _, err := sensortest.Sense(t.Context(), t, d, s); err != nil || sensortest.Value(t, readings, sensors.Temperature) != 51 {
			t.Errorf("%s again: got %v, %v", first, readings, err)
		}
		e.put(dir+"/temp", "51000\n")
		e.FS.Break(dir+"/type", syscall.ENOENT)
		if _, _, err := sensortest.Sense(t.Context(), t, d, s); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%s: got %v, want ENOENT", first, err)
		}
	}
}

// TestThermalRestless: a zone that is another one at each look has no
// temperature.
func TestThermalRestless(t *testing.T) {
	e := quickly(zones(t, nil, "cpu-thermal", "48312\n"))
	d := sensortest.Driver(t, "thermal")
	s, err := d.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	e.FS.OnRead = func(path string) {
		if strings.HasSuffix(path, "/temp") {
			e.put(path, "51000\n")
		}
	}
	if readings, _, err := sensortest.Sense(t.Context(), t, d, s); sensors.ReasonOf(err) != sensors.Identity {
		t.Errorf("got %v, %v; want an identity error", readings, err)
	}
}
