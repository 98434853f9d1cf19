package spi

import (
	"bytes"
	"testing"
)

func TestMCP3008(t *testing.T) {
	// The byte-aligned exchanges of figures 6-1 of both data sheets: 1, control,
	// and don't care; the last ten or twelve bits are the code.
	for _, tt := range []struct {
		model string
		set   map[string]int
		out   []byte
		want  []byte
	}{
		{"mcp3008", map[string]int{"ch2": 0x2a5}, []byte{0x01, 0xa0, 0x00}, []byte{0xff, 0xfa, 0xa5}},
		{"mcp3008", map[string]int{"ch7": 0x3ff}, []byte{0x01, 0xf0, 0x00}, []byte{0xff, 0xfb, 0xff}},
		{"mcp3008", nil, []byte{0x01, 0x80, 0x00}, []byte{0xff, 0xf8, 0x00}},
		{"mcp3008", map[string]int{"ch0": 700, "ch1": 100}, []byte{0x01, 0x00, 0x00}, []byte{0xff, 0xfa, 0x58}}, // CH0 − CH1 = 600
		{"mcp3008", map[string]int{"ch0": 700, "ch1": 100}, []byte{0x01, 0x10, 0x00}, []byte{0xff, 0xf8, 0x00}}, // CH1 − CH0
		{"mcp3004", map[string]int{"ch1": 0x155}, []byte{0x01, 0xd0, 0x00}, []byte{0xff, 0xf9, 0x55}},           // D2 is don't care
		{"mcp3208", map[string]int{"ch5": 0xa5c}, []byte{0x07, 0x40, 0x00}, []byte{0xff, 0xea, 0x5c}},
		// Clocked on, the bits come again, the lowest first and once only: figure 5-2.
		{"mcp3008", map[string]int{"ch0": 0x201}, []byte{0x01, 0x80, 0, 0, 0}, []byte{0xff, 0xfa, 0x01, 0x00, 0x80}},
		{"mcp3208", map[string]int{"ch0": 0x803}, []byte{0x06, 0x00, 0, 0, 0}, []byte{0xff, 0xe8, 0x03, 0x80, 0x20}},
	} {
		chip, err := New(tt.model)
		if err != nil {
			t.Fatal(err)
		}
		a := NewCH341(chip)
		if err := a.Set(tt.set); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]byte{{0xaa, 0x61, 0}, {0xab, 0xb6, 0x7f, 0x20}, {0xab, 0xb7, 0x20}, append([]byte{0xa8}, tt.out...), {0xab, 0xb6, 0x7f, 0x20}} {
			if err := a.Out(2, command); err != nil {
				t.Fatal(err)
			}
		}
		got, err := a.In(2, 32)
		if err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("%s % x: % x, want % x, %v", tt.model, tt.out, got, tt.want, err)
		}
		if log := a.Messages(); len(log) != 1 || !bytes.Equal(log[0].Out, tt.out) || !bytes.Equal(log[0].In, tt.want) {
			t.Errorf("the record is %v", log)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := New("max6675"); err == nil {
		t.Error("a chip without a model was made")
	}
	chip, err := New("mcp3004")
	if err != nil {
		t.Fatal(err)
	}
	a := NewCH341(chip)
	for _, values := range []map[string]int{{"ch4": 1}, {"volts": 1}, {"ch0": 1024}, {"ch0": -1}} {
		if err := a.Set(values); err == nil {
			t.Errorf("%v was taken", values)
		}
	}
	if err := a.SetFault("loose"); err == nil {
		t.Error("an unknown fault was taken")
	}
	for name, err := range map[string]error{"command": a.Out(2, []byte{0x99}), "endpoint": a.Out(1, []byte{0xaa}), "nothing": a.Out(2, nil)} {
		if err == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
	if _, err := a.In(1, 8); err == nil {
		t.Error("a wrong endpoint answers")
	}
}
