package sensors

import (
	"fmt"
	"io"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// An SPIDevice is one chip select of an SPI bus: bus 0 and select 1 are
// /dev/spidev0.1.
type SPIDevice struct{ Bus, Select int }

// String is the device as people name it.
func (d SPIDevice) String() string { return fmt.Sprintf("SPI bus %d, chip select %d", d.Bus, d.Select) }

// Node is the device's file.
func (d SPIDevice) Node() string { return fmt.Sprintf("/dev/spidev%d.%d", d.Bus, d.Select) }

// An SPIConfig is how messages with a chip are sent.
type SPIConfig struct {
	Speed physic.Frequency // at most, 1 Hz to 4.29 GHz
	Mode  spi.Mode         // clock polarity and phase; LSBFirst, NoCS, HalfDuplex
	Bits  int              // of a word; 0: 8
}

// An SPIConn is a chip on an SPI bus in use. Tx and TxPackets are one message
// each: the chip is selected for all of it. Close it when the read has ended.
type SPIConn interface {
	spi.Conn
	io.Closer
}
