package scan

// scanPorts lists the nodes of SPI devices and serial ports. None is opened: to
// open a serial port changes its control lines, and what is wired to either
// can't be detected.
func (s *scanner) scanPorts() {
	s.found.Model = s.Board.Model()
	s.found.SPI = s.nodes("SPI devices", "/dev/spidev*")
	// The names that stay: by-id is udev's, by the adapter's serial number;
	// serial0 is Raspberry Pi OS's link to the header's UART.
	s.found.Serial = append(s.nodes("serial ports", "/dev/serial/by-id/*"), s.nodes("serial ports", "/dev/serial0")...)
	if len(s.found.SPI) == 0 {
		s.advise("there is no SPI device: for chips on SPI enable it (sudo raspi-config nonint do_spi 0, or dtparam=spi=on in config.txt) and restart")
	}
}

func (s *scanner) nodes(what, pattern string) []string {
	nodes, err := s.Board.Files().Glob(pattern)
	if err != nil {
		s.problem("the %s are not known: %v", what, err)
	}
	return append([]string{}, nodes...)
}
