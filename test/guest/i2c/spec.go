package i2c

import "fmt"

// Spec describes a chip for the guest to build. The constructors below fill it
// with a chip's power-on content; Registers and Values may be changed after.
type Spec struct {
	// Model is "registers", "words", or a chip's name as its constructor has it, in
	// lower case.
	Model string
	// Registers overlays the power-on content: bytes from a register on (for
	// word registers two bytes each, most significant first).
	Registers map[int][]byte `json:",omitempty"`
	// Values is what the chip measures, as Chip.Set takes it.
	Values map[string]int `json:",omitempty"`
}

// New builds the chip that s describes. A bus powers it up.
func New(s Spec) (Chip, error) {
	c, err := newModel(s)
	if err != nil {
		return nil, err
	}
	if err := c.Set(s.Values); err != nil {
		return nil, err
	}
	return c, nil
}

// A presetter is a model whose registers can be preset.
type presetter interface {
	Chip
	preset(map[int][]byte) error
}

func newModel(s Spec) (Chip, error) {
	if p := newPresettable(s.Model); p != nil {
		return p, p.preset(s.Registers)
	}
	chip, ok := map[string]Chip{
		"sht4x": &sht4x{}, "sht3x": &sht3x{}, "htu21d": &htu21d{}, "bh1750": &bh1750{}, "hdc302x": &hdc302x{}, "scd4x": &scd4x{}, "aht20": &aht20{},
	}[s.Model]
	switch {
	case ok && len(s.Registers) != 0:
		return nil, fmt.Errorf("an %s has no registers to preset", s.Model)
	case ok:
		return chip, nil
	}
	return nil, fmt.Errorf("no chip model is called %q", s.Model)
}

func newPresettable(model string) presetter {
	switch model {
	case "registers":
		return &registers{}
	case "words":
		return &words{}
	case "bmp280", "bme280":
		return newBosch(model == "bme280")
	case "tmp102":
		return newTMP102()
	case "lm75":
		return newLM75()
	case "ads1115":
		return newADS1115()
	case "mcp9808":
		return newMCP9808()
	case "ina219", "ina226", "ina260", "ina3221":
		return newINA(model)
	case "lps22hb", "lps25h", "hts221":
		return newST(model)
	case "ds1621":
		return newDS1621()
	case "tmp117":
		return newTMP117()
	case "adt7410":
		return newADT7410()
	case "tsl2561", "tsl2591":
		return newTSL(model)
	case "ltr559":
		return newLTR559()
	case "veml7700":
		return newVEML7700()
	case "hdc1080":
		return newHDC1080()
	case "bmp180":
		return newBMP180()
	case "bmp388":
		return newBMP388()
	case "dps310":
		return newDPS310()
	case "bme680":
		return newBME680()
	}
	return nil
}

// Registers is a chip of up to 256 byte registers with an auto-incrementing
// pointer, and nothing behind them: reads and writes only move bytes.
func Registers(content map[int][]byte) Spec {
	return Spec{Model: "registers", Registers: content}
}

// Words is a chip of 16-bit registers, most significant byte first, whose
// pointer stays where it was set.
func Words(content map[int][]byte) Spec {
	return Spec{Model: "words", Registers: content}
}

// BMP280 holds the data sheet's worked example (BST-BMP280-DS001, section
// 3.12): 25.08 °C and 100653.27 Pa. Values: adc_T, adc_P, 20 bits each.
func BMP280() Spec {
	return Spec{Model: "bmp280", Values: map[string]int{"adc_T": 519888, "adc_P": 415148}}
}

// BME280 is the BMP280 example with a humidity part. Its humidity calibration
// is H1 75, H2 361, H3 0, H4 325, H5 50, H6 30. Values: adc_T, adc_P, and
// adc_H of 16 bits.
func BME280() Spec {
	return Spec{Model: "bme280", Values: map[string]int{"adc_T": 519888, "adc_P": 415148, "adc_H": 28100}}
}

// TMP102 measures temperature, in 1/16 °C.
func TMP102(sixteenths int) Spec {
	return Spec{Model: "tmp102", Values: map[string]int{"temperature": sixteenths}}
}

// LM75 measures temperature, in 1/2 °C.
func LM75(halves int) Spec {
	return Spec{Model: "lm75", Values: map[string]int{"temperature": halves}}
}

// SHT4x measures temperature and humidity as raw 16-bit ticks. Set "bad_crc"
// to 1 and both checksums are wrong.
func SHT4x(temperature, humidity int) Spec {
	return Spec{Model: "sht4x", Values: map[string]int{"temperature": temperature, "humidity": humidity}}
}

// SHT3x measures temperature and humidity as raw 16-bit ticks.
func SHT3x(temperature, humidity int) Spec {
	return Spec{Model: "sht3x", Values: map[string]int{"temperature": temperature, "humidity": humidity}}
}

// HTU21D measures temperature and humidity as the 16 bits of its answers, of
// which the two lowest say what it is.
func HTU21D(temperature, humidity int) Spec {
	return Spec{Model: "htu21d", Values: map[string]int{"temperature": temperature, "humidity": humidity}}
}

// MCP9808 measures temperature, in 1/16 °C.
func MCP9808(sixteenths int) Spec {
	return Spec{Model: "mcp9808", Values: map[string]int{"temperature": sixteenths}}
}

// BH1750 measures light, in counts of its usual resolution.
func BH1750(light int) Spec {
	return Spec{Model: "bh1750", Values: map[string]int{"light": light}}
}

// ADS1115 measures four inputs, in microvolts: ain0 to ain3.
func ADS1115(ain0, ain1, ain2, ain3 int) Spec {
	return Spec{Model: "ads1115", Values: map[string]int{"ain0": ain0, "ain1": ain1, "ain2": ain2, "ain3": ain3}}
}

// assign copies values into the named fields; an unknown name is an error.
func assign(values map[string]int, fields map[string]*int) error {
	for name, v := range values {
		f := fields[name]
		if f == nil {
			return fmt.Errorf("the chip measures no %q", name)
		}
		*f = v
	}
	return nil
}
