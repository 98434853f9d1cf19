// Wire sends one SPI message by package board and prints what came back: it is
// how the tests reach a flash chip, which no driver reads.
//
//	wire BUS SELECT HZ PACKET…
//
// A packet is hexadecimal bytes to be written, or rN to read N bytes. Each
// packet that reads gives a line.
package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "wire:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	var claim = sensors.Claim{Kind: sensors.SPIWire}
	var hz int64
	if len(args) < 4 {
		return errors.New("usage: wire BUS SELECT HZ PACKET…")
	}
	if _, err := fmt.Sscan(strings.Join(args[:3], " "), &claim.Bus, &claim.Select, &hz); err != nil {
		return err
	}
	packets, err := parse(args[3:])
	if err != nil {
		return err
	}
	wire, err := board.Open().Open(claim, sensors.SPIConfig{Speed: physic.Frequency(hz) * physic.Hertz})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, wire.Close()) }()
	if err := wire.(sensors.SPIConn).TxPackets(packets); err != nil {
		return err
	}
	for _, p := range packets {
		if len(p.R) > 0 {
			fmt.Println(hex.EncodeToString(p.R))
		}
	}
	return nil
}

func parse(args []string) ([]spi.Packet, error) {
	var packets []spi.Packet
	for _, arg := range args {
		if n, ok := strings.CutPrefix(arg, "r"); ok {
			size, err := strconv.Atoi(n)
			if err != nil {
				return nil, err
			}
			packets = append(packets, spi.Packet{R: make([]byte, size)})
			continue
		}
		w, err := hex.DecodeString(arg)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", arg, err)
		}
		packets = append(packets, spi.Packet{W: w})
	}
	return packets, nil
}
