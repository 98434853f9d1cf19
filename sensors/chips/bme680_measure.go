package chips

import (
	"bytes"
	"context"
	"errors"
	"time"

	"example.org/dormouse/sensors"
)

func (s *bme680) Sense(ctx context.Context, r *sensors.Report) error {
	wait, _ := bme680Wait(s.heating)
	s.settings = [...]byte{
		bme680ResHeat, s.cal.heater(s.target, s.ambient), bme680GasWait, wait,
		bme680CtrlGas, 0, bme680CtrlGas + 1, s.runGas(), bme680CtrlHum, s.osrs,
	}
	if err := s.tx(ctx, s.settings[:], nil); err != nil { // pairs of register and value: section 6.2.1
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.env.Sleep(ctx, s.duration); err != nil {
		return err
	}
	if err := s.env.Poll(ctx, s.duration, 5*time.Millisecond, s.finished); err != nil {
		return err
	}
	// What the chip holds until its next measurement is the same twice, but for
	// the flag of new data.
	first := s.result[:copy(s.result[:], s.data)]
	again, err := s.read(ctx, bme680Field, len(first))
	if err != nil {
		return err
	}
	if first[0] &^= bme680NewData; first[0] != again[0]&^bme680NewData || !bytes.Equal(first[2:], again[2:]) {
		return errUnequal("register 0x1d", first, again)
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	return s.report(r, first)
}

// begin begins a measurement. Asleep the chip may read as when it has measured:
// so it must be seen awake, and is begun again where the machine or the bus was
// too slow to look in time. That is half of the measurement: 86 ms by default, and
// 16 ms with the 20 ms that the heater needs at least to get hot.
// The command and the look take 0.6 ms on a bus of 100 kHz and 6 ms on one of
// 10 kHz, so that, unlike a BME280 that has measured after 5.5 ms, the chip needs no
// reset to be read on a slow bus: a machine that is late each time is one whose
// read the time-out ends.
func (s *bme680) begin(ctx context.Context) error {
	for range mostLate {
		if awake, err := s.force(ctx, s.env, bme680CtrlMeas, s.osrs<<5|s.osrs<<2|bme680Forced, s.duration/2); awake || err != nil {
			return err
		}
	}
	return sensors.Errorf(sensors.Identity, "ctrl_meas shows no measurement: each of %d had ended, or wasn't begun", mostLate)
}

// runGas is the bit that has the gas measured.
func (s *bme680) runGas() byte {
	if s.high {
		return 1 << 5
	}
	return 1 << 4
}

// measured reads status and data in one burst, and tells whether the
// measurement has ended.
func (s *bme680) measured() (bool, error) {
	p, err := s.read(context.Background(), bme680Field, 17)
	if err != nil {
		return false, err
	}
	s.data = p
	return p[0]&(bme680NewData|bme680Running) == bme680NewData, nil
}

// verify reads back in one burst what was set, and that nobody set a filter.
func (s *bme680) verify(ctx context.Context) error {
	p, err := s.read(ctx, bme680ResHeat, bme680Config-bme680ResHeat+1)
	if err != nil {
		return err
	}
	for _, set := range [...]struct{ reg, mask, want byte }{
		{bme680ResHeat, 0xff, s.settings[1]},
		{bme680GasWait, 0xff, s.settings[3]},
		{bme680CtrlGas, 1 << 3, 0}, // the heater isn't switched off
		{bme680CtrlGas + 1, 0x3f, s.settings[7]},
		{bme680CtrlHum, 7, s.osrs},
		{bme680CtrlMeas, 0xff, s.osrs<<5 | s.osrs<<2},
		{bme680Config, 0x1d, 0},
	} {
		if got := p[set.reg-bme680ResHeat] & set.mask; got != set.want {
			return sensors.Errorf(sensors.Identity, "register 0x%02x reads 0x%02x and not the 0x%02x that was set: the chip lost its supply for a moment, another program uses it, or the bus is stuck", set.reg, got, set.want)
		}
	}
	return nil
}

// report computes what one measurement gave. Temperature, pressure and humidity
// stand or fall together; the gas may be absent alone, for the chip tells
// whether it was measured.
func (s *bme680) report(r *sensors.Report, p []byte) error {
	adcP, adcT, adcH := uint20(p[2:]), uint20(p[5:]), int(p[8])<<8|int(p[9])
	if adcP == bme680Skipped || adcT == bme680Skipped || adcH == bme680SkippedHum {
		return sensors.Errorf(sensors.NotReady, "the chip has measured nothing: it was reset during the measurement: check its supply")
	}
	t, fine := s.cal.temperature(float64(adcT))
	pa := s.cal.pressure(float64(adcP), fine)
	h := s.cal.humidity(float64(adcH), t)
	if err := errors.Join(bme680Temperature.Check(t), bme680Pressure.Check(pa), overshoot.Check(h)); err != nil {
		return err
	}
	ohms, err := s.gas(p)
	if err == nil {
		err = bme680Gas.Check(ohms)
	}
	s.ambient = t
	r.Set(bme680Temperature, t)
	r.Set(bme680Pressure, pa)
	r.Set(sensors.Humidity, min(max(h, 0), 1))
	if err != nil {
		r.Fail(err)
		return nil
	}
	r.Set(bme680Gas, ohms)
	return nil
}

// gas is the resistance in ohms; a BME688 has it in other registers.
func (s *bme680) gas(p []byte) (float64, error) {
	at, formula := 13, s.cal.gasLow
	if s.high {
		at, formula = 15, gasHigh
	}
	flags := p[at+1]
	switch {
	case flags&bme680GasValid == 0:
		return 0, sensors.Errorf(sensors.NotReady, "the gas wasn't measured, as the chip says: check its supply")
	case flags&bme680HeatStab == 0:
		return 0, sensors.Errorf(sensors.NotReady, "the gas is not known: the heater didn't get to %v °C: make heater-duration longer or heater-temperature lower, and check the supply", s.target)
	}
	return formula(int(p[at])<<2|int(flags)>>6, int(flags&0x0f)), nil
}
