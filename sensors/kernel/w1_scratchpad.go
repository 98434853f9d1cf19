package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
)

func w1Empty(file string) error {
	return sensors.Errorf(sensors.NoAnswer, "%s is empty: the chip doesn't answer, or its answers fail their checksum; check the wiring, the pull-up and the length of the cable", file)
}

// powerOn is what the chip holds from power-up to its first conversion, in m°C
// (DS18B20 data sheet, table 1): a conversion that failed for want of current
// leaves it behind.
const powerOn = 85000

// converted85 is byte 6 of the memory after a conversion to 85 °C. A DS18B20 has
// 0x0c there after power-up, and then 0x10 less the low four bits of the
// temperature; see "features" in w1_therm.rst.
const converted85 = 0x10

// readScratchpad reads the temperature with all bytes of the chip's memory. It
// is asked where the temperature alone can't tell a reading from a failure: a
// second conversion is rarely lost like the first.
func (s *w1) readScratchpad(ctx context.Context) (int, error) {
	file := s.dir + "/w1_slave"
	text, err := readText(ctx, s.env.Files(), file)
	if errors.Is(err, fs.ErrNotExist) {
		chips, listErr := w1Chips(s.env)
		if listErr != nil {
			return 0, listErr
		}
		return 0, fmt.Errorf("%w (%w)", w1Missing(path.Base(s.dir), chips), err)
	}
	if err != nil {
		return 0, err
	}
	if text == "" {
		return 0, w1Empty(file)
	}
	v, memory, err := parseScratchpad(file, text)
	if err != nil {
		return 0, err
	}
	switch {
	case memory == [9]byte{}:
		// Nine zeros have the right checksum.
		return 0, sensors.Errorf(sensors.Identity, "the 1-Wire bus is stuck: all bits are 0: check whether the data line is shorted to ground")
	case v == powerOn && memory[6] != converted85:
		return 0, sensors.Errorf(sensors.NotReady, "the chip reads 85 °C, its value from power-up to the first conversion, and byte 6 of its memory is 0x%02x and not the 0x%02x of a conversion: the conversion failed: check its supply and the pull-up", memory[6], converted85)
	}
	return v, nil
}

// parseScratchpad reads the kernel's two lines:
//
//	72 01 4b 46 7f ff 0e 10 57 : crc=57 YES
//	72 01 4b 46 7f ff 0e 10 57 t=23125
//
// Only of the first does the verdict hold: the second may be an earlier one's.
func parseScratchpad(file, text string) (v int, memory [9]byte, err error) {
	first, second, _ := strings.Cut(text, "\n")
	fields := strings.Fields(first)
	wrong := sensors.Errorf(sensors.IO, "%s holds %s, which isn't the format that the kernel documents", file, excerpt(text))
	if len(fields) != len(memory)+3 || fields[9] != ":" || !strings.HasPrefix(fields[10], "crc=") {
		return 0, memory, wrong
	}
	for i := range memory {
		b, err := strconv.ParseUint(fields[i], 16, 8)
		if err != nil {
			return 0, memory, wrong
		}
		memory[i] = byte(b)
	}
	if fields[11] != "YES" {
		return 0, memory, sensors.Errorf(sensors.Checksum, "%s: the answer fails its checksum (% x); check the wiring, the pull-up and the length of the cable", file, memory)
	}
	_, number, ok := strings.Cut(second, "t=")
	if !ok {
		return 0, memory, wrong
	}
	v, err = milli(file, strings.TrimSpace(number))
	return v, memory, err
}
