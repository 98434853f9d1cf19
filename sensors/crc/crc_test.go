package crc

import "testing"

// The vectors of the Sensirion data sheets, section on CRC, of the SMBus
// specification's MLX90614 example and of the CRC catalogue ("123456789").
func TestSum8(t *testing.T) {
	for _, tt := range []struct {
		poly, init byte
		data       []byte
		want       byte
	}{
		{0x31, 0xFF, []byte{0xBE, 0xEF}, 0x92},
		{0x07, 0x00, []byte{0xB4, 0x07, 0xB5, 0xD2, 0x3A}, 0x30},
		{0x07, 0x00, []byte("123456789"), 0xF4}, // CRC-8/SMBUS
		{0x31, 0xFF, []byte("123456789"), 0xF7}, // CRC-8/NRSC-5
		{0x31, 0xFF, nil, 0xFF},
	} {
		if got := Sum8(tt.poly, tt.init, tt.data...); got != tt.want {
			t.Errorf("Sum8(%#x, %#x, % x) = %#x, want %#x", tt.poly, tt.init, tt.data, got, tt.want)
		}
	}
}
