// Package crc calculates the checksums of sensors.
package crc

// Sum8 is the bytewise, most-significant-bit-first CRC-8 of data. Sensirion's
// chips and the AHT20 use poly 0x31, init 0xFF (SHT4x data sheet, section
// 4.4); the SHT2x family poly 0x31, init 0; SMBus PEC poly 0x07, init 0.
func Sum8(poly, init byte, data ...byte) byte {
	crc := init
	for _, b := range data {
		crc ^= b
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ poly
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
