package chips

import (
	"bytes"
	"context"
	"slices"
	"time"

	"example.org/dormouse/sensors"
)

// Registers and bits: BME280 data sheet, sections 5.3 and 5.4; the BMP280's
// are the same but for those of humidity (section 5.2).
const (
	bme280ID       = 0xd0
	bme280Reset    = 0xe0
	bme280CtrlHum  = 0xf2
	bme280Status   = 0xf3 // then ctrl_meas, config, one unused, and the data from 0xF7
	bme280CtrlMeas = 0xf4
	bme280Data     = 0xf7
	bme280Calib    = 0x88 // 24 bytes T1…P9, one unused, H1
	bme280CalibHum = 0xe1 // H2…H6

	bme280Measuring = 1 << 3 // of status
	bme280Copying   = 1 << 0 // of status: calibration is being loaded after power-up
	bme280Forced    = 0b01   // of ctrl_meas; 00 is asleep
	bme280Unused    = 1 << 1 // of config
	bme280ResetWord = 0xb6

	bme280Startup = 2 * time.Millisecond // section 1.1, table 1: t_startup

	bme280Skipped    = 0x80000 // what pressure and temperature read that weren't measured: sections 5.4.3 and 5.4.5
	bme280SkippedHum = 0x8000
)

// bme280Empty is what pressure, temperature and humidity read after a reset:
// table 18.
var bme280Empty = []byte{0x80, 0x00, 0x00, 0x80, 0x00, 0x00, 0x80, 0x00}

var (
	bme280Addresses = []string{"0x76", "0x77"}           // section 6.2
	bme280Samples   = []string{"1", "2", "4", "8", "16"} // codes 1 to 5: sections 5.4.3 and 5.4.5

	bme280Temperature = sensors.Temperature.Within(-40, 85)      // section 1.4
	bme280Pressure    = sensors.Pressure.Within(30_000, 110_000) // section 1.3
	bme280Humidity    = sensors.Humidity
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "bme280",
		Summary:   "Bosch BME280 or BMP280: temperature -40 to 85 °C (±1 °C), pressure 300 to 1100 hPa (±1 hPa), BME280 only: humidity 0 to 100 % (±3 %)",
		Datasheet: "Bosch BST-BME280-DS002, revision 1.6; BST-BMP280-DS001, revision 1.14",
		Reasons:   []sensors.Reason{sensors.Checksum, sensors.NotReady, sensors.Identity},
		Wiring:    "I2C at 3.3 V; SDO to ground is 0x76, to the supply 0x77; CSB to the supply",
		Aliases:   map[string]string{"bmp280": ""},
		Timing:    "about 10 ms at oversampling 1, 115 ms at 16: one forced measurement, then the chip sleeps",
		Options: []sensors.Option{
			sensors.BusOpt(),
			sensors.AddrOpt(bme280Addresses...),
			{Name: "oversampling", Type: sensors.EnumOption, Default: "1", Choices: bme280Samples,
				Help: "samples of each quantity that one measurement averages; 1 is what the data sheet advises for weather"},
		},
		Measures: []*sensors.Quantity{bme280Temperature, bme280Pressure, bme280Humidity},
		Identity: &sensors.Identification{By: "ID register 0xD0 reads 0x60 (BME280), 0x58, 0x57 or 0x56 (BMP280)", Probe: probeBME280},
		New:      newBME280,
	})
}

type bme280 struct {
	device
	env      sensors.Env
	humid    bool // a BME280
	osrs     byte // the oversampling's code in ctrl_hum and ctrl_meas: section 5.4.3
	duration time.Duration
	burst    [12]byte             // the first of two reads of the result
	data     []byte               // status, ctrl_meas, …, the data: of the last read
	finished func() (bool, error) // measured, bound once so that Sense doesn't allocate
	cal      bme280Calibration
}

func newBME280(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	s := &bme280{device: newDevice(e, bme280Addresses), env: e}
	if err := e.Sleep(ctx, bme280Startup); err != nil { // its supply may have risen just now
		return nil, err
	}
	if err := s.identify(ctx); err != nil {
		return nil, err
	}
	// What another program set (a filter, normal mode) ends here.
	if err := s.reset(ctx); err != nil {
		return nil, err
	}
	if err := s.calibrate(ctx); err != nil {
		return nil, err
	}
	code := slices.Index(bme280Samples, e.Options().Text("oversampling"))
	s.osrs = byte(code + 1)
	samples := time.Duration(1) << code
	// The maximum of section 9.1: 1.25 ms, 2.3 ms for each sample, 0.575 ms
	// for each of pressure and humidity.
	s.duration = 1250*time.Microsecond + 2*2300*time.Microsecond*samples + 575*time.Microsecond
	if s.humid {
		s.duration += 2300*time.Microsecond*samples + 575*time.Microsecond
	}
	s.finished = s.measured
	return s, nil
}

func probeBME280(ctx context.Context, e sensors.Env) (sensors.Found, error) {
	s := &bme280{device: newDevice(e, bme280Addresses), env: e}
	if err := s.identify(ctx); err != nil {
		return sensors.Found{}, err
	}
	if s.humid {
		return sensors.Found{Family: "bme280", Model: "BME280"}, nil
	}
	return sensors.Found{Family: "bme280", Model: "BMP280"}, nil
}

func (s *bme280) identify(ctx context.Context) error {
	p, err := s.read(ctx, bme280ID, 1)
	if err != nil {
		return err
	}
	switch id := p[0]; id {
	case 0x60:
		s.humid = true
	case 0x58, 0x56, 0x57: // BMP280; 0x56 and 0x57 are its samples
	case 0x55:
		return sensors.Errorf(sensors.Identity, "the chip's ID is 0x55: it looks like a BMP180 or BMP085, which the driver bmp180 reads")
	case 0x61:
		return sensors.Errorf(sensors.Identity, "the chip's ID is 0x61: it looks like a BME680 or BME688, which the driver bme680 reads")
	case 0x00, 0xff:
		return s.errStuck("the chip's ID", id)
	default:
		return sensors.Errorf(sensors.Identity, "the chip's ID is 0x%02x: neither a BME280 (0x60) nor a BMP280 (0x58): check the address", id)
	}
	return nil
}

// reset has the chip begin as after power-up: section 4.3 (BMP280), 5.4.2.
func (s *bme280) reset(ctx context.Context) error {
	if err := s.write(ctx, bme280Reset, bme280ResetWord); err != nil {
		return err
	}
	if err := s.env.Sleep(ctx, bme280Startup); err != nil {
		return err
	}
	return s.env.Poll(ctx, 10*bme280Startup, bme280Startup, s.started)
}

// started tells whether the calibration is loaded.
func (s *bme280) started() (bool, error) {
	p, err := s.read(context.Background(), bme280Status, 1)
	if err != nil {
		return false, err
	}
	return p[0]&bme280Copying == 0, nil
}

func (s *bme280) Sense(ctx context.Context, r *sensors.Report) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.env.Sleep(ctx, s.duration); err != nil {
		return err
	}
	if err := s.env.Poll(ctx, s.duration, 2*time.Millisecond, s.finished); err != nil {
		return err
	}
	// What the chip holds until its next measurement is the same twice.
	first := s.burst[:copy(s.burst[:], s.data)]
	again, err := s.read(ctx, bme280Status, len(first))
	if err != nil {
		return err
	}
	if !bytes.Equal(first, again) {
		return errUnequal("register 0xf3", first, again)
	}
	adcP, adcT := uint20(s.data[4:]), uint20(s.data[7:])
	if adcP == bme280Skipped || adcT == bme280Skipped {
		return sensors.Errorf(sensors.NotReady, "the chip has measured nothing: it was reset during the measurement: check its supply")
	}
	return s.report(r, adcT, adcP)
}

// begin begins a measurement. Asleep the chip reads as when it has measured: so
// it must be seen awake, and is begun again where the machine or the bus was too
// slow to look in time.
func (s *bme280) begin(ctx context.Context) error {
	for range bme280Tries {
		if awake, err := s.beginSeen(ctx); awake || err != nil {
			return err
		}
	}
	return s.beginEmpty(ctx)
}

// bme280Tries is how often a measurement is begun that is seen too late.
const bme280Tries = 3

// beginSeen is false where the measurement may have ended before the chip was
// looked at.
func (s *bme280) beginSeen(ctx context.Context) (awake bool, err error) {
	if err := s.setHumidity(ctx); err != nil {
		return false, err
	}
	return s.force(ctx, s.env, bme280CtrlMeas, s.osrs<<5|s.osrs<<2|bme280Forced, inTime)
}

// force begins a measurement of a Bosch chip and looks whether it is awake. That
// is false where it was looked at later than soon after the command: the
// measurement may have ended.
func (d *device) force(ctx context.Context, e sensors.Env, ctrlMeas, forced byte, soon time.Duration) (awake bool, err error) {
	d.acquireBus()
	defer d.releaseBus()
	at := e.Now()
	if err := d.write(ctx, ctrlMeas, forced); err != nil {
		return false, err
	}
	p, err := d.read(ctx, ctrlMeas, 1)
	switch {
	case err != nil:
		return false, err
	case p[0]&3 == bme280Forced:
		return true, nil
	case p[0]&3 != 0 || e.Now().Sub(at) < soon:
		return false, sensors.Errorf(sensors.Identity, "ctrl_meas reads 0x%02x: no measurement was begun", p[0])
	}
	return false, nil
}

// beginEmpty begins a measurement of a chip that holds no result, as it does
// after a reset: so what it holds afterwards was measured, however late it is
// looked at.
func (s *bme280) beginEmpty(ctx context.Context) error {
	if err := s.reset(ctx); err != nil {
		return err
	}
	empty := bme280Empty[:6]
	if s.humid {
		empty = bme280Empty
	}
	p, err := s.read(ctx, bme280Data, len(empty))
	if err != nil {
		return err
	}
	if !bytes.Equal(p, empty) {
		return sensors.Errorf(sensors.Identity, "after a reset it holds the result % x, not % x: the chip wasn't reset", p, empty)
	}
	if err := s.setHumidity(ctx); err != nil {
		return err
	}
	return s.write(ctx, bme280CtrlMeas, s.osrs<<5|s.osrs<<2|bme280Forced)
}

// setHumidity sets how often humidity is sampled. It takes effect with the write
// of ctrl_meas: section 5.4.3.
func (s *bme280) setHumidity(ctx context.Context) error {
	if !s.humid {
		return nil
	}
	return s.write(ctx, bme280CtrlHum, s.osrs)
}

// Lacks says that a BMP280 measures no humidity.
func (s *bme280) Lacks() (model string, quantities []*sensors.Quantity) {
	if s.humid {
		return "BME280", nil
	}
	return "BMP280", []*sensors.Quantity{bme280Humidity}
}

// measured reads status, settings and data in one burst, and tells whether
// the measurement has ended: then the chip is asleep again.
func (s *bme280) measured() (bool, error) {
	n := 10
	if s.humid {
		n = 12
	}
	p, err := s.read(context.Background(), bme280Status, n)
	if err != nil {
		return false, err
	}
	s.data = p
	status, ctrl, config := p[0], p[1], p[2]
	if want := s.osrs<<5 | s.osrs<<2; ctrl&^3 != want {
		return false, sensors.Errorf(sensors.Identity, "ctrl_meas reads 0x%02x, not the 0x%02x that was written: the chip lost its supply for a moment, or the bus is stuck", ctrl, want)
	}
	if config&^bme280Unused != 0 {
		return false, sensors.Errorf(sensors.Identity, "the config register reads 0x%02x, and 0x00 after the reset: another program uses the chip", config)
	}
	return status&bme280Measuring == 0 && ctrl&3 == 0, nil
}
