package i2c

import "time"

// st is one of ST's sensors of the environment: LPS22HB (DocID027083), LPS25H
// (DocID023722), HTS221 (DocID026333). Their values are contents of the result
// registers: "pressure" or "humidity", and "temperature"; and "least", the
// conversion's.
type st struct {
	pointed
	kind               *stKind
	first, temperature int
	counts             bool // the pointer, within this message
}

// An stKind is how they differ.
type stKind struct {
	registers map[uint8][]byte // after power-up
	control   uint8            // CTRL_REG1; CTRL_REG2 follows
	rate      uint8            // the mask of the output rate in it, which is a continuous mode
	on        uint8            // bits of it without which the chip is powered down
	counting  uint8            // the bit of CTRL_REG2 that makes the pointer count; 0: bit 7 of the register's number
	first     string           // what is measured besides the temperature
	at, width uint8            // its register, and its bytes; the temperature follows
	shot      time.Duration
	available [2]uint8 // the bits of STATUS that tell of a new first result and of a new temperature
}

const (
	stStatus  = 0x27
	stOneShot = 1
)

var stKinds = map[string]*stKind{
	"lps22hb": {
		registers: map[uint8][]byte{0x0f: {0xb1}, 0x11: {0x10}},
		control:   0x10, rate: 0x70, counting: 0x10, first: "pressure", at: 0x28, width: 3, shot: 13 * time.Millisecond, available: [2]uint8{1, 2},
	},
	"lps25h": {
		registers: map[uint8][]byte{0x0f: {0xbd}},
		control:   0x20, rate: 0x70, on: 0x80, first: "pressure", at: 0x28, width: 3, shot: 36 * time.Millisecond, available: [2]uint8{2, 1},
	},
	"hts221": {
		registers: map[uint8][]byte{
			0x0f: {0xbc}, 0x10: {0x1b},
			// H0 31.5 %, H1 70.5 %, T0 18.625 °C, T1 33.25 °C, of which the bits above the
			// eighth are in 0x35, and what was measured there: H0 -2500, H1 12000, T0 -30,
			// T1 560.
			0x30: {63, 141, 149, 10, 0, 0x04, 0x3c, 0xf6, 0, 0, 0xe0, 0x2e, 0xe2, 0xff, 0x30, 0x02},
		},
		// Linux reads 50 ms after it has switched the chip on, whatever its status says.
		control: 0x20, rate: 0x03, on: 0x80, first: "humidity", at: 0x28, width: 2, shot: 40 * time.Millisecond, available: [2]uint8{2, 1},
	},
}

func newST(model string) *st {
	s := &st{kind: stKinds[model]}
	for register, content := range s.kind.registers {
		copy(s.powerOn[register:], content)
	}
	return s
}

func (s *st) Set(values map[string]int) error {
	return assign(values, map[string]*int{s.kind.first: &s.first, "temperature": &s.temperature, "least": &s.least})
}

func (s *st) Write(now time.Time, p []byte) bool {
	s.settle(now)
	if len(p) == 0 {
		return true
	}
	if s.kind.counting != 0 {
		s.counts = s.now[s.kind.control+1]&s.kind.counting != 0
	} else {
		s.counts = p[0]&0x80 != 0
	}
	s.pointer = p[0]
	if s.kind.counting == 0 {
		s.pointer &= 0x7f
	}
	for _, v := range p[1:] {
		s.store(now, s.pointer, v)
		if s.counts {
			s.pointer++
		}
	}
	return true
}

func (s *st) store(now time.Time, register, v uint8) {
	k := s.kind
	if register == 0x0f || register == stStatus || register >= k.at {
		return
	}
	s.now[register] = v
	switch on := s.now[k.control]&k.on == k.on; {
	case register == k.control && (!on || v&k.rate == 0):
		s.stop()
	case register == k.control:
		s.begin(now, k.shot, true)
	case register == k.control+1 && v&stOneShot != 0 && on && s.now[k.control]&k.rate == 0:
		s.begin(now, k.shot, false)
	}
}

func (s *st) settle(now time.Time) {
	if !s.done(now) {
		return
	}
	k := s.kind
	for i := range k.width {
		s.now[k.at+i] = byte(s.first >> (8 * i))
	}
	s.now[k.at+k.width], s.now[k.at+k.width+1] = byte(s.temperature), byte(s.temperature>>8)
	s.now[stStatus] |= k.available[0] | k.available[1]
	s.now[k.control+1] &^= stOneShot
}

// Read: the highest byte of a result clears that it is new.
func (s *st) Read(now time.Time, p []byte) bool {
	s.settle(now)
	for i := range p {
		p[i] = s.now[s.pointer]
		switch s.pointer {
		case s.kind.at + s.kind.width - 1:
			s.now[stStatus] &^= s.kind.available[0]
		case s.kind.at + s.kind.width + 1:
			s.now[stStatus] &^= s.kind.available[1]
		}
		if s.counts {
			s.pointer++
		}
	}
	return true
}

// LPS22HB measures pressure in 1/4096 hPa and temperature in 1/100 °C.
func LPS22HB(pressure, temperature int) Spec {
	return Spec{Model: "lps22hb", Values: map[string]int{"pressure": pressure, "temperature": temperature}}
}

// LPS25H measures pressure in 1/4096 hPa and temperature in 1/480 °C from
// 42.5 °C.
func LPS25H(pressure, temperature int) Spec {
	return Spec{Model: "lps25h", Values: map[string]int{"pressure": pressure, "temperature": temperature}}
}

// HTS221 measures humidity and temperature in units of its calibration.
func HTS221(humidity, temperature int) Spec {
	return Spec{Model: "hts221", Values: map[string]int{"humidity": humidity, "temperature": temperature}}
}
