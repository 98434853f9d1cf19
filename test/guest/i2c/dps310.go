package i2c

import "time"

// dps310 is Infineon's DPS310 (revision 1.2). Values are its results of 24 bits,
// as of one sample: "pressure" and "temperature". Multiples of 64 are exact at 16
// samples, too.
type dps310 struct {
	pointed
	pressure, temperature int
}

// Registers of section 7.
const (
	dps310Pressure    = 0x00
	dps310Temperature = 0x03
	dps310PRS         = 0x06
	dps310TMP         = 0x07
	dps310Meas        = 0x08
	dps310Reset       = 0x0c
	dps310ID          = 0x0d
	dps310Coef        = 0x10
	dps310Source      = 0x28
	dps310Fuse        = 0x32

	dps310Ready = 0xc0 // COEF_RDY and SENSOR_RDY
)

// dps310Scales are the scale factors by the samples' code (table 9).
var dps310Scales = [8]int64{524288, 1572864, 3670016, 7864320, 253952, 516096, 1040384, 2088960}

func newDPS310() *dps310 {
	d := &dps310{}
	d.powerOn[dps310Meas], d.powerOn[dps310ID], d.powerOn[dps310Source], d.powerOn[dps310Fuse] = dps310Ready, 0x10, 0x80, 0x02
	// c0 204, c1 -261, c00 79000, c10 -54000, c01 -2800, c11 1200, c20 -9400, c21 24,
	// c30 -40: section 8.11. The last two are small, for Linux multiplies them by three
	// results of 24 bits, and its 64 bits overflow by real chips'.
	c := d.powerOn[dps310Coef:]
	put := func(at int, bits, v int) { // at half bytes
		for ; bits > 0; bits, at = bits-4, at+1 {
			c[at/2] |= byte(v>>(bits-4)&0xf) << (4 - at%2*4)
		}
	}
	at := 0
	for _, k := range [][2]int{{12, 204}, {12, -261}, {20, 79000}, {20, -54000}, {16, -2800}, {16, 1200}, {16, -9400}, {16, 24}, {16, -40}} {
		put(at, k[0], k[1])
		at += k[0] / 4
	}
	return d
}

func (d *dps310) Set(values map[string]int) error {
	return assign(values, map[string]*int{"pressure": &d.pressure, "temperature": &d.temperature})
}

// duration is that of the measurements that MEAS_CTRL asks for (table 16).
func (d *dps310) duration() time.Duration {
	times := [8]time.Duration{3600, 5200, 8400, 14800, 27600, 53200, 104400, 206800}
	var total time.Duration
	for bit, register := range map[uint8]uint8{1: dps310PRS, 2: dps310TMP} {
		if d.now[dps310Meas]&bit != 0 {
			total += times[d.now[register]&7] * time.Microsecond
		}
	}
	return total
}

func (d *dps310) Write(now time.Time, p []byte) bool {
	d.settle(now)
	return d.take(p, func(register, v uint8) {
		switch {
		case register == dps310Meas:
			d.now[register] = d.now[register]&0xf0 | v&7
			if d.stop(); v&3 != 0 {
				d.begin(now, d.duration(), v&4 != 0)
			}
		case register == dps310Reset && v&0x0f == 0x09:
			d.Reset(now)
		case register >= dps310PRS && register < dps310Reset, register == 0x0e, register == 0x0f, register == 0x62:
			d.now[register] = v
		}
	})
}

func (d *dps310) settle(now time.Time) {
	if !d.done(now) {
		return
	}
	store := func(at int, configuration, ready uint8, v int) {
		d.put24(at, int(int64(v)*dps310Scales[d.now[configuration]&7]/dps310Scales[0]))
		d.now[dps310Meas] |= ready
	}
	if d.now[dps310Meas]&1 != 0 {
		store(dps310Pressure, dps310PRS, 0x10, d.pressure)
	}
	if d.now[dps310Meas]&2 != 0 {
		store(dps310Temperature, dps310TMP, 0x20, d.temperature)
	}
	if !d.under { // back to standby
		d.now[dps310Meas] &^= 7
	}
}

// Read clears that a result is ready.
func (d *dps310) Read(now time.Time, p []byte) bool {
	d.settle(now)
	return d.fillThen(p, func(register uint8) {
		switch register {
		case dps310Pressure + 2:
			d.now[dps310Meas] &^= 0x10
		case dps310Temperature + 2:
			d.now[dps310Meas] &^= 0x20
		}
	})
}

// DPS310 measures pressure and temperature as its results of one sample.
func DPS310(pressure, temperature int) Spec {
	return Spec{Model: "dps310", Values: map[string]int{"pressure": pressure, "temperature": temperature}}
}
