package sensortest

import (
	"io"
	"os"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/spi"
)

// An SPIChip is a chip on an SPI bus: a function that takes what is sent in one
// message and fills what is received, which are of one length. A message of
// several packets is one.
type SPIChip func(w, r []byte) error

func tamperSPI(connected any, t *tamper) any {
	t.raw = connected.(SPIChip)
	return SPIChip(t.transact)
}

// spiConn is a chip that a driver has opened.
type spiConn struct {
	chip   SPIChip
	config sensors.SPIConfig
	closed bool
}

func openSPI(e *Env, connected, config any) (io.Closer, error) {
	c := config.(sensors.SPIConfig)
	if err := board.CheckSPI(sensors.SPIDevice{}, &c); err != nil {
		return nil, err
	}
	return &spiConn{chip: connected.(SPIChip), config: c}, nil
}

func (s *spiConn) String() string       { return "chip" }
func (s *spiConn) Duplex() conn.Duplex  { return board.SPIDuplex(s.config.Mode) }
func (s *spiConn) Tx(w, r []byte) error { return s.TxPackets([]spi.Packet{{W: w, R: r}}) }

func (s *spiConn) TxPackets(packets []spi.Packet) error {
	if s.closed {
		return os.ErrClosed
	}
	if err := board.CheckPackets(sensors.SPIDevice{}, packets); err != nil {
		return err
	}
	var w []byte
	for _, p := range packets {
		sent := make([]byte, max(len(p.W), len(p.R)))
		copy(sent, p.W)
		w = append(w, sent...)
	}
	r := make([]byte, len(w))
	if err := s.chip(w, r); err != nil {
		return err
	}
	for _, p := range packets {
		copy(p.R, r)
		r = r[max(len(p.W), len(p.R)):]
	}
	return nil
}

func (s *spiConn) Close() error {
	if s.closed {
		return os.ErrClosed
	}
	s.closed = true
	return nil
}
