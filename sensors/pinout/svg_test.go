package pinout

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/dormouse/sensors/config"
)

func draw(t *testing.T, flags ...string) string {
	t.Helper()
	cfg, err := config.Load(config.Source{SensorFlags: flags})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := New(cfg, nil).WriteSVG(&b, func(sensor string) string { return "#sensor-" + sensor }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSVG(t *testing.T) {
	got := draw(t, "greenhouse=bme280,addr=0x76,power=GPIO17", "office=sht4x", "door=switch,pin=GPIO27", "sonar=echo,trigger=GPIO23,echo=GPIO24")
	path := filepath.Join("testdata", "header.svg")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s\nif that is meant, run the test with -update", diff)
	}
	// It is XML, each pin has a title, and the wires of one chip have one colour.
	d := xml.NewDecoder(strings.NewReader(got))
	titles := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "title" {
			titles++
		}
	}
	if titles != 41 {
		t.Errorf("%d titles, want the picture's and 40 pins'", titles)
	}
	for text, n := range map[string]int{
		`<a href="#sensor-greenhouse">`:                                     3, // SDA, SCL and its supply
		`<a href="#sensor-door">`:                                           1,
		`<a href="#sensor-sonar">`:                                          2,
		`<title>pin 3, GPIO2: SDA of I2C bus 1: greenhouse, office</title>`: 1,
		`<title>pin 13, GPIO27: door</title>`:                               1,
		`<title>pin 6, GND</title>`:                                         1,
		`stroke-width="3"`:                                                  6,
	} {
		if got := strings.Count(got, text); got != n {
			t.Errorf("%s is there %d times, want %d", text, got, n)
		}
	}
}

func TestUsed(t *testing.T) {
	for flag, want := range map[string]bool{"a=thermal": false, "a=sht4x": true, "a=sht4x,bus=7": false, "a=switch,pin=GPIO4": true} {
		cfg, err := config.Load(config.Source{SensorFlags: []string{flag}})
		if err != nil {
			t.Fatal(err)
		}
		if got := New(cfg, nil).Used(); got != want {
			t.Errorf("%s: %t", flag, got)
		}
	}
}
