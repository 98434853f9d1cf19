package chips

import (
	"context"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// Registers, bits and sections are those of the BME680's data sheet, section
// 5.3; what only a BME688 has is in its own (BST-BME688-DS000).
const (
	bme680ID       = 0xd0
	bme680Variant  = 0xf0 // BME688: 0 is a BME680's gas converter, 1 a BME688's
	bme680Reset    = 0xe0
	bme680Field    = 0x1d // status, index, pressure, temperature, humidity, 3 unused, gas
	bme680ResHeat  = 0x5a // of the heater's set-point 0; the other settings follow
	bme680GasWait  = 0x64
	bme680CtrlGas  = 0x70 // then the second register of gas
	bme680CtrlHum  = 0x72
	bme680CtrlMeas = 0x74
	bme680Config   = 0x75

	bme680Forced    = 0b01   // of ctrl_meas; 00 is asleep
	bme680NewData   = 1 << 7 // of status
	bme680Running   = 3 << 5 // of status: gas or another quantity is measured
	bme680GasValid  = 1 << 5 // of gas, section 5.3.5.5
	bme680HeatStab  = 1 << 4 // of gas, section 5.3.5.6
	bme680ResetWord = 0xb6

	bme680Startup    = 2 * time.Millisecond // table 2: time to the first communication
	bme680AfterReset = 5 * time.Millisecond

	bme680Skipped    = 0x80000 // what pressure and temperature read before the first measurement: section 5.2
	bme680SkippedHum = 0x8000

	bme680FirstAmbient = 25.0 // °C, for the heater before the first measurement
)

var (
	bme680Addresses = []string{"0x76", "0x77"} // section 6.2

	bme680Temperature = sensors.Temperature.Within(-40, 85)      // table 6
	bme680Pressure    = sensors.Pressure.Within(30_000, 110_000) // table 5
	bme680Gas         = sensors.Resistance.Within(100, 110e6)    // what both formulas reach
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "bme680",
		Summary:   "Bosch BME680, BME688: temperature -40 to 85 °C (±1 °C), pressure 300 to 1100 hPa (±0.6 hPa), humidity 0 to 100 % (±3 %), resistance of a heated gas sensor (±15 %)",
		Datasheet: "Bosch BST-BME680-DS001, revision 1.1; BST-BME688-DS000",
		Reasons:   []sensors.Reason{sensors.Checksum, sensors.NotReady, sensors.Identity},
		Wiring:    "I2C at 3.3 V; SDO to ground is 0x76, to the supply 0x77; CSB to the supply; the heater takes up to 18 mA",
		Aliases:   map[string]string{"bme688": ""},
		Timing:    "160 ms at oversampling 1: temperature, pressure and humidity in 11 ms (100 ms at 16), then 150 ms of heating and the gas; then the chip sleeps",
		Kernel:    "bme680 (iio), which doesn't know the gas converter of a BME688; dtoverlay=i2c-sensor,bme680",
		Options: []sensors.Option{
			sensors.BusOpt(),
			sensors.AddrOpt(bme680Addresses...),
			{Name: "oversampling", Type: sensors.EnumOption, Default: "1", Choices: bme280Samples,
				Help: "samples of temperature, pressure and humidity that one measurement averages"},
			{Name: "heater-temperature", Type: sensors.NumberOption, Unit: units.Celsius, Default: "320°C", Range: &sensors.Range{Min: 200, Max: 400},
				Help: "temperature at which the gas is measured"},
			{Name: "heater-duration", Type: sensors.DurationOption, Default: "150ms", Range: &sensors.Range{Min: 0.001, Max: 4.032},
				Help: "time for which the sensor is heated before the gas is measured; it takes 20 to 30 ms to get hot. The chip has steps of 1, 4, 16 and 64 ms: a time between two is rounded down"},
		},
		Measures: []*sensors.Quantity{bme680Temperature, bme680Pressure, sensors.Humidity, bme680Gas},
		Notes: []string{
			"The resistance of the gas sensor falls where there are volatile organic compounds, and drifts: it needs minutes of regular measurements to settle. Bosch's index of air quality is computed by a closed library, and not here.",
			"The heater is set by the temperature of the previous measurement; the first after power-up or an error takes 25 °C.",
		},
		Identity: &sensors.Identification{By: "ID register 0xD0 reads 0x61; register 0xF0 reads 0 (BME680) or 1 (BME688)", Probe: probeBME680},
		New:      newBME680,
	})
}

type bme680 struct {
	device
	env      sensors.Env
	high     bool // a BME688: its gas converter is another
	osrs     byte // the oversampling's code, for all three quantities
	target   float64
	heating  time.Duration
	ambient  float64 // °C
	settings [10]byte
	duration time.Duration
	result   [17]byte             // the first of two reads of it
	data     []byte               // of the last read
	finished func() (bool, error) // measured, bound once so that Sense doesn't allocate
	cal      bme680Calibration
}

func newBME680(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	s := &bme680{device: newDevice(e, bme680Addresses), env: e, ambient: bme680FirstAmbient}
	if err := e.Sleep(ctx, bme680Startup); err != nil { // its supply may have risen just now
		return nil, err
	}
	if err := s.identify(ctx); err != nil {
		return nil, err
	}
	// What another program set (a filter, a sequence of measurements) ends here.
	if err := s.write(ctx, bme680Reset, bme680ResetWord); err != nil {
		return nil, err
	}
	if err := e.Sleep(ctx, bme680AfterReset); err != nil {
		return nil, err
	}
	if err := s.calibrate(ctx); err != nil {
		return nil, err
	}
	o := e.Options()
	code := slices.Index(bme280Samples, o.Text("oversampling"))
	s.osrs = byte(code + 1)
	s.target = o.Number("heater-temperature")
	s.heating = o.Duration("heater-duration")
	_, waits := bme680Wait(s.heating)
	// As Bosch computes it: 1.963 ms for each sample, four switches of 0.477 ms,
	// five for the gas, and 1 ms to wake up.
	s.duration = 3*1963*time.Microsecond<<code + 9*477*time.Microsecond + time.Millisecond + waits
	s.finished = s.measured
	return s, nil
}

func probeBME680(ctx context.Context, e sensors.Env) (sensors.Found, error) {
	s := &bme680{device: newDevice(e, bme680Addresses), env: e}
	if err := s.identify(ctx); err != nil {
		return sensors.Found{}, err
	}
	if s.high {
		return sensors.Found{Family: "bme680", Model: "BME688"}, nil
	}
	return sensors.Found{Family: "bme680", Model: "BME680"}, nil
}

// identify tells a BME688 from a BME680: one read as the other has a wrong gas
// resistance, so that both are asked twice.
func (s *bme680) identify(ctx context.Context) error {
	p, err := s.readTwice(ctx, bme680ID, 1)
	if err != nil {
		return err
	}
	switch id := p[0]; id {
	case 0x61:
	case 0x58, 0x60:
		return sensors.Errorf(sensors.Identity, "the chip's ID is 0x%02x: it looks like a BME280 or BMP280, which the driver bme280 reads", id)
	case 0x55:
		return sensors.Errorf(sensors.Identity, "the chip's ID is 0x55: it looks like a BMP180, which the driver bmp180 reads")
	case 0x00, 0xff:
		return s.errStuck("the chip's ID", id)
	default:
		return sensors.Errorf(sensors.Identity, "the chip's ID is 0x%02x, which neither a BME680 nor a BME688 has (0x61): check the address", id)
	}
	if p, err = s.readTwice(ctx, bme680Variant, 1); err != nil {
		return err
	}
	if p[0] > 1 {
		return sensors.Errorf(sensors.Identity, "the chip's variant is 0x%02x, and 0 on a BME680, 1 on a BME688: how its gas resistance is computed isn't known", p[0])
	}
	s.high = p[0] == 1
	return nil
}

// calibrate reads the three blocks of parameters, which have no checksum.
func (s *bme680) calibrate(ctx context.Context) error {
	var c [42]byte
	n := 0
	for _, block := range []struct {
		reg  byte
		size int
	}{{0x8a, 23}, {0xe1, 14}, {0x00, 5}} {
		p, err := s.readTwice(ctx, block.reg, block.size)
		if err != nil {
			return err
		}
		if n == 0 && stuck(p) {
			return s.errStuck("the calibration", p[0])
		}
		n += copy(c[n:], p)
	}
	s.cal.load(c[:])
	if s.cal.t1 == 0 || s.cal.t2 == 0 || s.cal.p1 == 0 {
		return sensors.Errorf(sensors.Identity, "the calibration has T1 %v, T2 %v and P1 %v, which no chip has: the bus is disturbed or the chip is broken", s.cal.t1, s.cal.t2, s.cal.p1)
	}
	return nil
}
