package chips

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// exchange is one message: what is sent, and what the chip sends back.
type exchange struct{ w, r []byte }

// spiPlayback is a chip that expects exactly these messages.
func spiPlayback(t *testing.T, messages ...exchange) sensortest.SPIChip {
	t.Cleanup(func() {
		if !t.Failed() && len(messages) > 0 {
			t.Errorf("%d messages weren't sent: % x", len(messages), messages[0].w)
		}
	})
	return func(w, r []byte) error {
		if len(messages) == 0 || !bytes.Equal(w, messages[0].w) {
			t.Fatalf("sent % x, want %v", w, messages)
		}
		copy(r, messages[0].r)
		messages = messages[1:]
		return nil
	}
}

func thrice(e exchange) []exchange { return []exchange{e, e, e} }

func readSPI(t *testing.T, texts map[string]string, chip sensortest.SPIChip, channels ...string) ([]sensors.Reading, []sensors.Failure, error) {
	t.Helper()
	d := sensortest.Driver(t, "mcp3008")
	e := sensortest.New(t, d, texts, channels...)
	e.Wires[sensors.SPIWire] = chip
	return sensortest.Read(t, d, e)
}

// TestMCP3008Messages: figures 5-1 and 5-2 of both data sheets. Of what the chip
// sends, the bits before the zero are nobody's, here 1; the code comes twice.
func TestMCP3008Messages(t *testing.T) {
	for _, tt := range []struct {
		model, channel string
		exchange
		want float64
	}{
		// Start and control 1 1010, at bit 25 on: code 0x2a5, and 0x095 of its
		// bits 1 to 9.
		{"mcp3008", "ch2", exchange{[]byte{0x03, 0x40, 0, 0}, []byte{0xff, 0xf5, 0x4a, 0x95}}, 3.3 * 0x2a5 / 1024},
		{"mcp3008", "ch0", exchange{[]byte{0x03, 0x00, 0, 0}, []byte{0xff, 0xf0, 0x00, 0x00}}, 0},
		{"mcp3008", "ch7", exchange{[]byte{0x03, 0xe0, 0, 0}, []byte{0xff, 0xf0, 0x02, 0x00}}, 3.3 * 1 / 1024},
		{"mcp3008", "ch6", exchange{[]byte{0x03, 0xc0, 0, 0}, []byte{0xff, 0xf7, 0xfd, 0xff}}, 3.3 * 0x3fe / 1024},
		{"mcp3008", "ch1-ch0", exchange{[]byte{0x02, 0x20, 0, 0}, []byte{0x00, 0x04, 0x00, 0x01}}, 3.3 * 0x200 / 1024},
		{"mcp3004", "ch3", exchange{[]byte{0x03, 0x60, 0, 0}, []byte{0xff, 0xf5, 0x4a, 0x95}}, 3.3 * 0x2a5 / 1024},
		// 1 1101 at bit 29 on: code 0xa5c, and 0x3a5 of its bits 1 to 11.
		{"mcp3208", "ch5", exchange{[]byte{0x3a, 0, 0, 0}, []byte{0xff, 0x52, 0xe3, 0xa5}}, 3.3 * 0xa5c / 4096},
		{"mcp3204", "ch2-ch3", exchange{[]byte{0x24, 0, 0, 0}, []byte{0xff, 0x52, 0xe3, 0xa5}}, 3.3 * 0xa5c / 4096},
	} {
		t.Run(tt.model+" "+tt.channel, func(t *testing.T) {
			got, failures, err := readSPI(t, map[string]string{"model": tt.model}, spiPlayback(t, thrice(tt.exchange)...), tt.channel)
			if err != nil || len(failures) > 0 {
				t.Fatal(failures, err)
			}
			near(t, tt.channel, sensortest.Value(t, got, mcp3008Voltage, tt.channel), tt.want, 1e-12)
		})
	}
}

func TestMCP3008Reference(t *testing.T) {
	half := exchange{[]byte{0x03, 0, 0, 0}, []byte{0xff, 0xf4, 0x00, 0x01}}
	got, _, err := readSPI(t, map[string]string{"reference": "5V", "bus": "1", "select": "CE2"}, spiPlayback(t, thrice(half)...), "ch0")
	if err != nil {
		t.Fatal(err)
	}
	near(t, "half of 5 V", sensortest.Value(t, got, mcp3008Voltage, "ch0"), 2.5, 1e-12)
}

// TestMCP3008AllInputs: where none is named, all single ones are read.
func TestMCP3008AllInputs(t *testing.T) {
	for model, n := range map[string]int{"mcp3008": 8, "mcp3004": 4, "mcp3208": 8, "mcp3204": 4} {
		var asked []byte
		got, _, err := readSPI(t, map[string]string{"model": model}, func(w, r []byte) error {
			asked = append(asked, w[0])
			return nil
		})
		if err != nil || len(got) != n || len(asked) != 3*n {
			t.Errorf("%s: %d readings by %d messages, %v", model, len(got), len(asked), err)
		}
	}
}

// TestMCP3008OneBit: a bit that is disturbed in one message changes nothing,
// whichever it is and on which wire.
func TestMCP3008OneBit(t *testing.T) {
	well := exchange{[]byte{0x03, 0x40, 0, 0}, []byte{0xff, 0xf5, 0x4a, 0x95}}
	for bit := range 32 {
		for at := range 3 {
			n := 0
			got, _, err := readSPI(t, nil, func(w, r []byte) error {
				copy(r, well.r)
				if n == at {
					r[bit/8] ^= 1 << (bit % 8)
				}
				n++
				return nil
			}, "ch2")
			if err != nil {
				if reason := sensors.ReasonOf(err); reason != sensors.Checksum && reason != sensors.NoAnswer {
					t.Errorf("bit %d: %v (%s)", bit, err, reason)
				}
				continue
			}
			near(t, fmt.Sprintf("with bit %d of message %d", bit, at), sensortest.Value(t, got, mcp3008Voltage, "ch2"), 3.3*0x2a5/1024, 1e-12)
		}
	}
}

func TestMCP3008Errors(t *testing.T) {
	read := func(r []byte) error {
		_, _, err := readSPI(t, nil, func(_, got []byte) error { copy(got, r); return nil }, "ch2")
		return err
	}
	isError(t, read([]byte{0xff, 0xff, 0xff, 0xff}), sensors.NoAnswer, "channel ch2: no chip answers on SPI bus 0, chip select 0")
	isError(t, read([]byte{0xff, 0xf5, 0x4a, 0x94}), sensors.Checksum, "channel ch2: the code 0x152 came back as 0x052")
	broken := errors.New("it broke")
	if _, _, err := readSPI(t, nil, func(_, _ []byte) error { return broken }, "ch2"); !errors.Is(err, broken) {
		t.Errorf("a message that fails: %v", err)
	}
	// At full scale the voltage isn't known: that input alone is absent.
	got, failures, err := readSPI(t, nil, func(w, r []byte) error {
		copy(r, []byte{0xff, 0xf5, 0x4a, 0x95})
		if bytes.Equal(w, []byte{0x03, 0x00, 0, 0}) {
			copy(r, []byte{0xff, 0xf7, 0xff, 0xff})
		}
		return nil
	}, "ch0", "ch1")
	if err != nil || len(got) != 1 || len(failures) != 1 || !slices.Equal(failures[0].Labels, []string{"ch0"}) {
		t.Fatalf("%v, %v, %v", got, failures, err)
	}
	isError(t, failures[0].Err, sensors.OutOfRange, "channel ch0: the voltage reaches the reference")
}

func TestMCP3008Options(t *testing.T) {
	d := sensortest.Driver(t, "mcp3008")
	for _, tt := range []struct {
		model    string
		channels []string
		want     string
	}{
		{"mcp3004", []string{"ch3", "ch2-ch3"}, ""},
		{"mcp3004", []string{"ch4"}, "channels: ch4: the mcp3004 has no such input: its inputs are ch0 to ch3"},
		{"mcp3204", []string{"ch6-ch7"}, "ch6-ch7: the mcp3204 has no such input"},
		{"mcp3208", []string{"ch7"}, ""},
	} {
		_, err := sensors.NewOptions(d, map[string]string{"model": tt.model}, tt.channels...)
		if (err == nil) != (tt.want == "") {
			t.Errorf("%s %v: %v, want %q", tt.model, tt.channels, err, tt.want)
		}
		if err != nil {
			isError(t, err, sensors.IO, tt.want)
		}
	}
}
