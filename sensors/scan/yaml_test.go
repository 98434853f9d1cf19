package scan

import (
	"strings"
	"testing"

	"example.org/dormouse/sensors/config"
)

// everything is a Document with each kind of find.
func everything() *Document {
	return &Document{
		Buses: []Bus{
			{Bus: 1, Complete: true, Addresses: []Address{
				{Address: "0x44", Identified: true, Could: []Find{{What: "sht4x", Flag: "--sensor=sht4x-44=sht4x,bus=1,addr=0x44"}}},
				{Address: "0x48", Could: []Find{{What: "tmp102", Flag: "--sensor=tmp102-48=tmp102,bus=1,addr=0x48,model=tmp102"}, {What: "ads1115", Flag: "--sensor=ads1115-48=ads1115,bus=1,addr=0x48"}}},
				{Address: "0x4a", Identified: true, Could: []Find{{What: "ads1115", Flag: "--sensor=ads1115-4a=ads1115,bus=1,addr=0x4a,model=ads1115"}, {What: "ads1015", Flag: "--sensor=ads1115-4a=ads1115,bus=1,addr=0x4a,model=ads1015"}}},
				{Address: "0x50", Refused: []string{"not ours:\nno ID"}},
				{Address: "0x76", Daemon: "greenhouse"},
			}},
			{Bus: 3, Complete: true, Addresses: []Address{
				{Address: "0x44", Identified: true, Could: []Find{{What: "sht4x", Flag: "--sensor=sht4x-44=sht4x,bus=3,addr=0x44"}}},
			}},
		},
		OneWire:    []Find{{What: "28-0316a2795f7e", Flag: "--sensor=w1-28-0316a2795f7e=w1,id=28-0316a2795f7e"}},
		Zones:      []Find{{What: "odd zone", Flag: ""}},
		Unfindable: []string{"pulse", "switch"},
		Problems:   []string{"bus 4 hangs:\ndoes a chip hold SDA low?"},
	}
}

func TestYAML(t *testing.T) {
	var b strings.Builder
	if err := everything().WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	cfg, err := config.Load(config.Source{File: "found.yml", Data: []byte(text)})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var got []string
	for _, s := range cfg.Sensors {
		got = append(got, s.Name+" "+s.Driver.Name)
	}
	if want := "sht4x-44 sht4x|ads1115-4a ads1115|sht4x-44-2 sht4x|w1-28-0316a2795f7e w1"; strings.Join(got, "|") != want {
		t.Errorf("the configuration has %q, want %q\n%s", got, want, text)
	}
	for _, line := range []string{
		"# bus 4 hangs:\n# does a chip hold SDA low?\n",
		"  # - {name: tmp102-48, driver: tmp102, bus: 1, addr: 0x48, model: tmp102}\n",
		"  # I2C bus 1, 0x76: is read by the running daemon, as greenhouse\n",
		"  # Thermal zone odd zone: no driver reads it\n",
		"  #   not ours:\n  # no ID\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestYAMLOfNothing(t *testing.T) {
	var b strings.Builder
	if err := (&Document{}).WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{File: "found.yml", Data: []byte(b.String())})
	if err != nil || len(cfg.Sensors) != 0 {
		t.Errorf("%v, %v\n%s", cfg, err, b.String())
	}
}
