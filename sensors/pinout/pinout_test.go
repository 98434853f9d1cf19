package pinout

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	_ "example.org/dormouse/sensors/all"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/pinmux"
	"example.org/dormouse/sensors/config"
)

var update = flag.Bool("update", false, "write the golden files")

// inspected is a board that can only be inspected.
type inspected struct {
	board.Inspector
	noHeader error
	held     map[string]string // consumer, by the line's key
	// The functions of lines, by number.
	functions map[int]pinmux.Function
}

func peripheral(device string, lines ...int) map[int]pinmux.Function {
	functions := map[int]pinmux.Function{}
	for _, n := range lines {
		functions[n] = pinmux.Usual(n, device)
	}
	return functions
}

func (b inspected) LineInfo(ref sensors.LineRef) (board.LineInfo, error) {
	consumer, held := b.held[ref.Key()]
	info := board.LineInfo{Chip: "gpiochip0 (pinctrl-bcm2711)", Offset: ref.BCM, Held: held, Consumer: consumer, Function: b.functions[ref.BCM]}
	switch {
	case b.noHeader != nil:
		return info, b.noHeader
	case ref.BCM >= 0:
	case ref.Chip == "gpiochip0":
		info.Offset = ref.Offset
	case ref.Chip == "20-0020":
		info.Chip, info.Offset = "gpiochip4 (20-0020)", ref.Offset
	case ref.Name == "RXD1":
		info.Offset = 15
	default:
		return board.LineInfo{}, fmt.Errorf("line %s: there is none", ref)
	}
	return info, nil
}

// unsure is a line's function on a Pi that doesn't tell whether it has it.
func unsure(n int) pinmux.Function {
	f := pinmux.Usual(n, "")
	f.Guess = true
	return f
}

func join(all ...map[int]pinmux.Function) map[int]pinmux.Function {
	joined := map[int]pinmux.Function{}
	for _, m := range all {
		maps.Copy(joined, m)
	}
	return joined
}

func TestPinout(t *testing.T) {
	wired := []string{"gh=bme280,power=supply", "attic=sht4x,power=supply", "door=switch,pin=GPIO27", "rain=pulse,pin=gpiochip0:22",
		"beds=tmp102,power=GPIO6", "gate=switch,pin=20-0020:3", "long-name-of-a-sensor-that-fills-the-column=switch,pin=GPIO21"}
	for _, tt := range []struct {
		name    string
		sensors []string
		rails   []string
		here    board.Inspector
		colour  bool
		wrong   bool
	}{
		{name: "empty"},
		{name: "wired", sensors: wired, rails: []string{"supply=GPIO17,active=low", "spare=12"}},
		{name: "inspected", sensors: wired, rails: []string{"supply=GPIO17,active=low"}, here: inspected{functions: join(peripheral("i2c@7e804000", 2, 3), peripheral("spi@7e204000", 7, 8, 9, 10, 11), peripheral("serial@7e201000", 14, 15)),
			held: map[string]string{"GPIO17": "dormouse supply", "GPIO4": "onewire@0", "GPIO27": "dormouse door", "GPIO16": "",
				"20-0020:3": "somebody", "GPIO21": "dormouse long-name-of-a-sensor-"}}},
		{name: "conflicts", wrong: true, sensors: []string{"door=switch,pin=GPIO27", "gate=pulse,pin=BOARD13", "sda=switch,pin=GPIO2", "gh=bme280",
			"wrong=switch,pin=BOARD6", "bell=switch,pin=GPIO23", "uart=switch,pin=RXD1", "lost=switch,pin=NOWHERE", "ce=switch,pin=GPIO8"},
			here: inspected{held: map[string]string{"GPIO23": "gpioset"}, functions: join(peripheral("serial@7e201000", 14, 15), peripheral("spi@7e204000", 8, 9, 10, 11))}},
		{name: "by-force", sensors: []string{"a=switch,pin=BOARD8,force=yes", "b=switch,pin=GPIO3", "c=tmp102,bus=0,power=vcc"}, rails: []string{"vcc=GPIO11,force=yes"},
			here: inspected{held: map[string]string{"GPIO14": "dormouse a"}, functions: join(peripheral("serial@7e201000", 14, 15), peripheral("spi@7e204000", 11),
				map[int]pinmux.Function{0: unsure(0), 1: unsure(1), 2: unsure(2), 3: unsure(3)})}},
		{name: "through-the-board", sensors: []string{"a=switch,pin=GPIO22", "b=switch,pin=gpiochip0:22"}, here: inspected{}},
		{name: "elsewhere", sensors: []string{"a=switch,pin=GPIO22", "b=switch,pin=gpiochip0:22", "c=tmp102,bus=3"},
			here: inspected{noHeader: errors.New("line GPIO2 (pin 3): there is no /dev/gpiochip*")}},
		{name: "colour", colour: true, sensors: []string{"door=switch,pin=GPIO27", "gate=pulse,pin=BOARD13", "gh=bme280"}, wrong: true,
			here: inspected{held: map[string]string{"GPIO4": "onewire@0"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, configErr := &config.Config{}, error(nil)
			if tt.sensors != nil {
				cfg, configErr = config.Draft(config.Source{SensorFlags: tt.sensors, RailFlags: tt.rails})
			}
			if (configErr != nil) != tt.wrong {
				t.Fatalf("the configuration: %v", configErr)
			}
			var got bytes.Buffer
			if err := New(cfg, tt.here).WriteText(&got, tt.colour); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join("testdata", tt.name+".golden")
			if *update {
				if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("it differs from %s (-):\n%s", name, diff)
			}
		})
	}
}
