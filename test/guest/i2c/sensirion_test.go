package i2c

import (
	"bytes"
	"testing"
	"time"
)

// TestAnswers: the examples of the data sheets, and that nobody gets an answer
// before its time or twice.
func TestAnswers(t *testing.T) {
	start := time.Unix(1, 0)
	for _, tt := range []struct {
		spec    Spec
		command []byte
		wait    time.Duration
		want    []byte
	}{
		{SHT3x(0xbeef, 0), []byte{0x24, 0x00}, 15500 * time.Microsecond, []byte{0xbe, 0xef, 0x92, 0, 0, 0x81}}, // section 4.12: 0xBEEF has 0x92
		{SHT3x(0, 0), []byte{0xf3, 0x2d}, 0, []byte{0, 0, 0x81}},
		{HTU21D(0x683a, 0), []byte{0xf3}, 85 * time.Millisecond, []byte{0x68, 0x38, crc8From(0, []byte{0x68, 0x38})}},
		{HTU21D(0, 0x4e85), []byte{0xe5}, 0, []byte{0x4e, 0x86, crc8From(0, []byte{0x4e, 0x86})}},
		{HTU21D(0, 0), []byte{0xe7}, 0, []byte{0x02}},
	} {
		c, err := New(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		c.Reset(start)
		got := make([]byte, len(tt.want))
		if !c.Write(start, tt.command) || tt.wait > 0 && c.Read(start.Add(tt.wait-1), got) {
			t.Errorf("%s: % x was refused, or answered early", tt.spec.Model, tt.command)
		}
		if end := start.Add(tt.wait); !c.Read(end, got) || !bytes.Equal(got, tt.want) || c.Read(end, got) {
			t.Errorf("%s: % x gave % x, want % x once", tt.spec.Model, tt.command, got, tt.want)
		}
	}
	// Data sheet of the HTU21D(F), "CRC checksum": 0x683A has 0x7C, 0x4E85 0x6B.
	for _, tt := range []struct{ word, sum []byte }{{[]byte{0x68, 0x3a}, []byte{0x7c}}, {[]byte{0x4e, 0x85}, []byte{0x6b}}} {
		if got := crc8From(0, tt.word); got != tt.sum[0] {
			t.Errorf("% x has 0x%02x, want % x", tt.word, got, tt.sum)
		}
	}
}

func TestConversionsTakeTheirTime(t *testing.T) {
	start := time.Unix(1, 0)
	for _, tt := range []struct {
		spec     Spec
		commands [][]byte
		wait     time.Duration
		want     []byte
	}{
		// Table 5-1: limits of 0, which 25.25 °C is above.
		{MCP9808(404), [][]byte{{5}}, 250 * time.Millisecond, []byte{0xc1, 0x94}},
		{MCP9808(-1), [][]byte{{5}}, 250 * time.Millisecond, []byte{0x3f, 0xff}},
		{MCP9808(404), [][]byte{{7}}, 0, []byte{0x04, 0x00}},
		{BH1750(0x8390), [][]byte{{0x01}, {0x20}}, 180 * time.Millisecond, []byte{0x83, 0x90}},
		{BH1750(100), [][]byte{{0x01}, {0x42}, {0x6a}, {0x21}}, 180 * time.Millisecond, []byte{0, 214}}, // measuring time 74
	} {
		c, err := New(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		c.Reset(start)
		for _, command := range tt.commands {
			if !c.Write(start, command) {
				t.Errorf("%s refuses % x", tt.spec.Model, command)
			}
		}
		early, late := make([]byte, 2), make([]byte, 2)
		if tt.wait > 0 && c.Read(start.Add(tt.wait-1), early) && bytes.Equal(early, tt.want) {
			t.Errorf("%s has % x early", tt.spec.Model, early)
		}
		if !c.Read(start.Add(tt.wait*5/4), late) || !bytes.Equal(late, tt.want) {
			t.Errorf("%s has % x, want % x", tt.spec.Model, late, tt.want)
		}
	}
}
