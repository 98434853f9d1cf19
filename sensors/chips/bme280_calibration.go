package chips

import (
	"context"
	"encoding/binary"
	"errors"

	"example.org/dormouse/sensors"
)

// bme280Calibration is each chip's own: section 4.2.2, table 16.
type bme280Calibration struct {
	t1                             uint16
	t2, t3                         int16
	p1                             uint16
	p2, p3, p4, p5, p6, p7, p8, p9 int16
	h1, h3                         uint8
	h2, h4, h5                     int16
	h6                             int8
}

func (c *bme280Calibration) load(p []byte) {
	word := binary.LittleEndian.Uint16
	c.t1, c.p1, c.h1 = word(p), word(p[6:]), p[25]
	for i, v := range []*int16{&c.t2, &c.t3} {
		*v = int16(word(p[2+2*i:]))
	}
	for i, v := range []*int16{&c.p2, &c.p3, &c.p4, &c.p5, &c.p6, &c.p7, &c.p8, &c.p9} {
		*v = int16(word(p[8+2*i:]))
	}
}

// loadHumidity takes 0xE1 to 0xE7; H4 and H5 are signed, of 12 bits, and share
// 0xE5.
func (c *bme280Calibration) loadHumidity(p []byte) {
	c.h2, c.h3, c.h6 = int16(binary.LittleEndian.Uint16(p)), p[2], int8(p[6])
	c.h4 = int16(int8(p[3]))<<4 | int16(p[4]&0x0f)
	c.h5 = int16(int8(p[5]))<<4 | int16(p[4]>>4)
}

// temperature is section 4.2.3's, in °C; fine is what the other two need.
func (c *bme280Calibration) temperature(adc int32) (t float64, fine int32) {
	t1 := int32(c.t1)
	a := (adc>>3 - t1<<1) * int32(c.t2) >> 11
	b := adc>>4 - t1
	fine = a + (b*b>>12)*int32(c.t3)>>14
	return float64((fine*5+128)>>8) / 100, fine
}

// pressure is section 4.2.3's with 64 bits, in pascals.
func (c *bme280Calibration) pressure(adc, fine int32) (float64, error) {
	v := int64(fine) - 128000
	offset := v*v*int64(c.p6) + v*int64(c.p5)<<17 + int64(c.p4)<<35
	scale := (v*v*int64(c.p3)>>8 + v*int64(c.p2)<<12 + 1<<47) * int64(c.p1) >> 33
	if scale == 0 {
		return 0, sensors.Errorf(sensors.OutOfRange, "the pressure can't be computed: a temperature value of %d is impossible for this chip's calibration", fine)
	}
	p := (int64(1048576-adc)<<31 - offset) * 3125 / scale
	a := int64(c.p9) * (p >> 13) * (p >> 13) >> 25
	b := int64(c.p8) * p >> 19
	return float64((p+a+b)>>8+int64(c.p7)<<4) / 256, nil
}

// humidity is section 4.2.3's, 1 for saturated air; that it may be a little
// beyond 0 and 1 is cut by report.
func (c *bme280Calibration) humidity(adc, fine int32) float64 {
	v := int64(fine) - 76800
	gain := (v*int64(c.h6)>>10)*(v*int64(c.h3)>>11+32768)>>10 + 2097152
	v = (int64(adc)<<14 - int64(c.h4)<<20 - int64(c.h5)*v + 16384) >> 15 * ((gain*int64(c.h2) + 8192) >> 14)
	v -= (v >> 15) * (v >> 15) >> 7 * int64(c.h1) >> 4
	return float64(v>>12) / 1024 / 100
}

// calibrate reads the trimming parameters: section 4.2.2. They have no
// checksum, and a wrong one would spoil every value from now on.
func (s *bme280) calibrate(ctx context.Context) error {
	p, err := s.readTwice(ctx, bme280Calib, 26)
	if err != nil {
		return err
	}
	if stuck(p[:24]) {
		return s.errStuck("the calibration", p[0])
	}
	s.cal.load(p)
	if s.cal.t1 == 0 || s.cal.p1 == 0 {
		return sensors.Errorf(sensors.Identity, "the calibration has T1 %d and P1 %d, which no chip has: the bus is disturbed or the chip is broken", s.cal.t1, s.cal.p1)
	}
	if !s.humid {
		return nil
	}
	if p, err = s.readTwice(ctx, bme280CalibHum, 7); err != nil {
		return err
	}
	if stuck(p) {
		return s.errStuck("the calibration of humidity", p[0])
	}
	s.cal.loadHumidity(p)
	return nil
}

// report computes the quantities of one measurement, which stand or fall
// together: pressure and humidity hang on the temperature.
func (s *bme280) report(r *sensors.Report, adcT, adcP int32) error {
	t, fine := s.cal.temperature(adcT)
	p, err := s.cal.pressure(adcP, fine)
	if err != nil {
		return err
	}
	if err := errors.Join(bme280Temperature.Check(t), bme280Pressure.Check(p)); err != nil {
		return err
	}
	if s.humid {
		adcH := int32(s.data[10])<<8 | int32(s.data[11])
		if adcH == bme280SkippedHum {
			return sensors.Errorf(sensors.NotReady, "the chip has not measured humidity: it was reset during the measurement: check its supply")
		}
		h := s.cal.humidity(adcH, fine)
		if err := overshoot.Check(h); err != nil {
			return err
		}
		r.Set(bme280Humidity, min(max(h, 0), 1))
	}
	r.Set(bme280Temperature, t)
	r.Set(bme280Pressure, p)
	return nil
}

func uint20(p []byte) int32 { return int32(p[0])<<12 | int32(p[1])<<4 | int32(p[2])>>4 }
