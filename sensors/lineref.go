package sensors

import (
	"fmt"
	"strconv"
	"strings"
)

// A LineRef names a GPIO line as the user wrote it. Exactly one of the ways
// below is in use; which line of which chip that is, the board finds out.
type LineRef struct {
	Text   string // as written
	BCM    int    // of the header's chip: GPIO17, 17 or BOARD11; else -1
	Chip   string // "gpiochip0" or a chip's label; with Offset
	Offset int
	Name   string // a line's name
}

// HeaderPin is one pin of the 40-pin header, the same on every Pi since the
// B+; the first 26 pins of the older header are the same too but for the
// very first revision (pins 3, 5 and 13).
type HeaderPin struct {
	Pin  int
	BCM  int    // -1: not a GPIO
	Name string // "GPIO17", "3V3", "5V", "GND"
	Alt  string // function that the firmware or an overlay may give it: "SDA1"
}

// ParseLine reads a line: GPIO17 or 17 (the BCM number), BOARD11 (the header's
// pin), CHIP:OFFSET, or a line's name. The names of the header's lines are the
// same line on every kernel, whichever of its names that kernel gives it.
func ParseLine(text string) (LineRef, error) {
	none := LineRef{Text: text, BCM: -1, Offset: -1}
	if text == "" {
		return none, fmt.Errorf("no line is named: write GPIO17, 17 (the BCM number), BOARD11 (the header's pin), CHIP:OFFSET or a line's name")
	}
	if chip, offset, ok := strings.Cut(text, ":"); ok {
		n, ok := digits(offset)
		if !ok || chip == "" {
			return none, fmt.Errorf("%q is not a line: write CHIP:OFFSET as in gpiochip0:17", text)
		}
		none.Chip, none.Offset = strings.TrimPrefix(chip, "/dev/"), n
		return none, nil
	}
	upper := strings.ToUpper(text)
	if pin, ok := strings.CutPrefix(upper, "BOARD"); ok {
		if n, ok := digits(pin); ok {
			if n < 1 || n > len(Header) {
				return none, fmt.Errorf("%q is not a pin of the header: BOARD1 to BOARD%d", text, len(Header))
			}
			p := Header[n-1]
			if p.BCM < 0 {
				return none, fmt.Errorf("%s is %s, not a GPIO line", text, p.Name)
			}
			none.BCM = p.BCM
			return none, nil
		}
	}
	if n, ok := digits(strings.TrimPrefix(upper, "GPIO")); ok {
		if n >= sysfsBase && n <= sysfsBase+maxBCM {
			return none, fmt.Errorf("%q is the number that the kernel's old interface gives GPIO%d (%d+%d): write GPIO%[2]d", text, n-sysfsBase, sysfsBase, n-sysfsBase)
		}
		if n > maxBCM {
			return none, fmt.Errorf("%q is not a line of the header's chip: GPIO0 to GPIO%d", text, maxBCM)
		}
		none.BCM = n
		return none, nil
	}
	if _, ok := digits(strings.TrimPrefix(text, "gpiochip")); ok {
		return none, fmt.Errorf("%q is a chip: add which of its lines, as in %s:17", text, text)
	}
	if n, ok := headerNames[text]; ok {
		none.BCM = n
		return none, nil
	}
	if !validLineName(text) {
		return none, fmt.Errorf("%q is not a line: write GPIO17, 17 (the BCM number), BOARD11 (the header's pin), CHIP:OFFSET or a line's name", text)
	}
	none.Name = text
	return none, nil
}

// headerNames are the names of the header's lines that aren't their number, as
// the gpio-line-names of mainline's device trees have them (bcm2711-rpi-4-b.dts
// and its neighbours of the Pi 1 to 3). Raspberry Pi OS calls all but the first
// two GPIO2 to GPIO27. TXD0 and RXD0 aren't among them: these are the header's on
// a Pi 1 and the Bluetooth chip's on a Pi 4.
var headerNames = map[string]int{
	"ID_SDA": 0, "ID_SCL": 1, "ID_SD": 0, "ID_SC": 1, "SDA1": 2, "SCL1": 3, "GPIO_GCLK": 4,
	"SPI_CE1_N": 7, "SPI_CE0_N": 8, "SPI_MISO": 9, "SPI_MOSI": 10, "SPI_SCLK": 11, "TXD1": 14, "RXD1": 15,
}

// sysfsBase is the number in the deprecated /sys/class/gpio of GPIO0 of a Pi 4 or
// older since Linux 6.6: drivers/gpio/gpiolib.h, GPIO_DYNAMIC_BASE. A Pi 5's
// differs from kernel to kernel.
const sysfsBase = 512

// maxBCM is the last line a header's chip has: GPIO53 on the Pi 1 to 3 and the
// Pi 5's RP1, GPIO57 on the BCM2711 (BCM2711 ARM Peripherals, chapter 5).
const maxBCM = 57

// digits reads a number without a sign; a leading zero doesn't make it octal.
func digits(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil
}

func validLineName(text string) bool {
	if text[0] == '-' || text[0] == '+' || len(text) > 31 { // GPIO_MAX_NAME_SIZE, linux/gpio.h
		return false
	}
	for _, c := range text {
		if c <= ' ' || c > '~' || c == '"' || c == ',' {
			return false
		}
	}
	return true
}

// Pin is the header's pin of the line, 0 where it isn't on the header.
func (l LineRef) Pin() int {
	if l.BCM >= 0 {
		for _, p := range Header {
			if p.BCM == l.BCM {
				return p.Pin
			}
		}
	}
	return 0
}

// String names the line with both of its numbers: "GPIO17 (pin 11)".
func (l LineRef) String() string {
	switch {
	case l.BCM >= 0 && l.Pin() > 0:
		return fmt.Sprintf("GPIO%d (pin %d)", l.BCM, l.Pin())
	case l.BCM >= 0:
		return fmt.Sprintf("GPIO%d", l.BCM)
	case l.Chip != "":
		return fmt.Sprintf("%s:%d", l.Chip, l.Offset)
	}
	return l.Name
}

// Key is equal for two spellings of one line.
func (l LineRef) Key() string {
	switch {
	case l.BCM >= 0:
		return fmt.Sprintf("GPIO%d", l.BCM)
	case l.Chip != "":
		return fmt.Sprintf("%s:%d", l.Chip, l.Offset)
	}
	return l.Name
}

// Header is the 40-pin header, pin 1 first. Source: Raspberry Pi
// documentation, "GPIO and the 40-pin header".
var Header = [40]HeaderPin{
	{1, -1, "3V3", ""}, {2, -1, "5V", ""},
	{3, 2, "GPIO2", "SDA1"}, {4, -1, "5V", ""},
	{5, 3, "GPIO3", "SCL1"}, {6, -1, "GND", ""},
	{7, 4, "GPIO4", "GPCLK0"}, {8, 14, "GPIO14", "TXD"},
	{9, -1, "GND", ""}, {10, 15, "GPIO15", "RXD"},
	{11, 17, "GPIO17", ""}, {12, 18, "GPIO18", "PCM_CLK"},
	{13, 27, "GPIO27", ""}, {14, -1, "GND", ""},
	{15, 22, "GPIO22", ""}, {16, 23, "GPIO23", ""},
	{17, -1, "3V3", ""}, {18, 24, "GPIO24", ""},
	{19, 10, "GPIO10", "MOSI"}, {20, -1, "GND", ""},
	{21, 9, "GPIO9", "MISO"}, {22, 25, "GPIO25", ""},
	{23, 11, "GPIO11", "SCLK"}, {24, 8, "GPIO8", "CE0"},
	{25, -1, "GND", ""}, {26, 7, "GPIO7", "CE1"},
	{27, 0, "GPIO0", "ID_SD"}, {28, 1, "GPIO1", "ID_SC"},
	{29, 5, "GPIO5", ""}, {30, -1, "GND", ""},
	{31, 6, "GPIO6", ""}, {32, 12, "GPIO12", "PWM0"},
	{33, 13, "GPIO13", "PWM1"}, {34, -1, "GND", ""},
	{35, 19, "GPIO19", "PCM_FS"}, {36, 16, "GPIO16", ""},
	{37, 26, "GPIO26", ""}, {38, 20, "GPIO20", "PCM_DIN"},
	{39, -1, "GND", ""}, {40, 21, "GPIO21", "PCM_DOUT"},
}
