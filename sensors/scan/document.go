package scan

// A Document is the result of a scan; its JSON is that of `scan
// --format=json`. Fields are added to it, never changed or removed.
type Document struct {
	Buses      []Bus      `json:"i2c_buses"`
	OneWire    []Find     `json:"one_wire"`
	Zones      []Find     `json:"thermal_zones"`
	Devices    []Find     `json:"kernel_devices"` // what the kernel's drivers measure
	GPIO       []GPIOChip `json:"gpio_chips"`
	Model      string     `json:"model"`        // of the board
	SPI        []string   `json:"spi_devices"`  // nodes
	Serial     []string   `json:"serial_ports"` // by their stable names
	Unfindable []string   `json:"not_findable"` // drivers whose hardware can't be detected
	Problems   []string   `json:"problems"`     // what couldn't be examined, and what to do
	Advice     []string   `json:"advice"`
}

// A Bus is an I2C bus.
type Bus struct {
	Bus       int       `json:"bus"`
	Complete  bool      `json:"complete"` // all addresses were examined
	Addresses []Address `json:"addresses"`
}

// An Address is an address of an I2C bus that is in use.
type Address struct {
	Address    string   `json:"address"`
	Kernel     string   `json:"kernel_driver,omitempty"` // the kernel's driver of it
	Daemon     string   `json:"daemon_sensor,omitempty"` // the daemon's sensor that reads it
	Identified bool     `json:"identified"`              // drivers have probed it
	Could      []Find   `json:"could_be"`
	Refused    []string `json:"refused"` // why drivers say that it isn't their chip

	unbind     string // the command that unbinds the kernel's driver
	mayBeStuck bool   // a driver has taken it for the answer of a stuck bus
}

// A Find is something that a sensor can read.
type Find struct {
	What string `json:"what"`
	Flag string `json:"flag,omitempty"` // empty: no driver reads it
	// Serial is the serial number of a chip that was identified by one.
	Serial string `json:"serial_number,omitempty"`
}

// A GPIOChip is a GPIO chip with those of its lines that are held.
type GPIOChip struct {
	Chip  string     `json:"chip"`
	Lines int        `json:"lines"`
	Held  []HeldLine `json:"held"`
}

// A HeldLine is a GPIO line that is in use.
type HeldLine struct {
	Offset   int    `json:"offset"`
	Name     string `json:"name"`
	Consumer string `json:"consumer"`
	Output   bool   `json:"output"`
}
