package sensors

import (
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for _, tt := range []struct{ text, key, shown string }{
		{"GPIO17", "GPIO17", "GPIO17 (pin 11)"},
		{"gpio17", "GPIO17", "GPIO17 (pin 11)"},
		{"17", "GPIO17", "GPIO17 (pin 11)"},
		{"017", "GPIO17", "GPIO17 (pin 11)"},
		{"BOARD11", "GPIO17", "GPIO17 (pin 11)"},
		{"board40", "GPIO21", "GPIO21 (pin 40)"},
		{"GPIO42", "GPIO42", "GPIO42"},
		{"0", "GPIO0", "GPIO0 (pin 27)"},
		{"gpiochip0:17", "gpiochip0:17", "gpiochip0:17"},
		{"/dev/gpiochip0:17", "gpiochip0:17", "gpiochip0:17"},
		{"pinctrl-rp1:4", "pinctrl-rp1:4", "pinctrl-rp1:4"},
		{"ID_SDA", "GPIO0", "GPIO0 (pin 27)"},
		{"GPIO_GCLK", "GPIO4", "GPIO4 (pin 7)"},
		{"RXD1", "GPIO15", "GPIO15 (pin 10)"},
		{"TXD0", "TXD0", "TXD0"}, // another line on another model
		{"sda1", "sda1", "sda1"}, // the kernel's names have their case
		{"SENSOR_EN", "SENSOR_EN", "SENSOR_EN"},
		{"BOARD_LED", "BOARD_LED", "BOARD_LED"},
	} {
		l, err := ParseLine(tt.text)
		if err != nil || l.Key() != tt.key || l.String() != tt.shown || l.Text != tt.text {
			t.Errorf("ParseLine(%q) = %+v, %v, want %s shown as %s", tt.text, l, err, tt.key, tt.shown)
		}
	}
	for text, want := range map[string]string{
		"":                                  "no line is named",
		"GPIO58":                            "GPIO0 to GPIO57",
		"99":                                "GPIO0 to GPIO57",
		"BOARD0":                            "BOARD1 to BOARD40",
		"BOARD41":                           "BOARD1 to BOARD40",
		"BOARD1":                            "3V3, not a GPIO",
		"BOARD39":                           "GND, not a GPIO",
		"gpiochip0":                         "gpiochip0:17",
		"gpiochip0:":                        "CHIP:OFFSET",
		"gpiochip0:x":                       "CHIP:OFFSET",
		"gpiochip0:+1":                      "CHIP:OFFSET",
		":17":                               "CHIP:OFFSET",
		"+17":                               "is not a line",
		"529":                               "gives GPIO17 (512+17): write GPIO17",
		"GPIO512":                           "gives GPIO0 (512+0): write GPIO0",
		"570":                               "is not a line of the header's chip: GPIO0 to GPIO57",
		"-17":                               "is not a line",
		"GPIO 17":                           "is not a line",
		"tür":                               "is not a line",
		"A23456789012345678901234567890123": "is not a line",
	} {
		if l, err := ParseLine(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseLine(%q) = %+v, %v, want an error with %q", text, l, err, want)
		}
	}
}

// The header has 28 lines, GPIO0 to GPIO27, each once, and pin numbers in order.
func TestHeader(t *testing.T) {
	pins := map[int]int{}
	for i, p := range Header {
		if p.Pin != i+1 {
			t.Errorf("pin %d stands in place %d", p.Pin, i+1)
		}
		if p.BCM >= 0 {
			pins[p.BCM]++
		}
	}
	for bcm := range 28 {
		if pins[bcm] != 1 {
			t.Errorf("GPIO%d is on %d pins", bcm, pins[bcm])
		}
	}
	if len(pins) != 28 {
		t.Errorf("%d lines, want 28", len(pins))
	}
}
