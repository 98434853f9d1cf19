package chips

import (
	"fmt"
	"time"

	"example.org/dormouse/sensors"
)

// This file is the vocabulary in which a chip is described; sensor.go runs a
// description, table_check.go refuses one that can't be right.
//
// To add a chip, write one file with a family and register it in init. The
// data sheet answers five questions:
//
//	identity  how is the chip recognised?
//	prepare   what has to be set, and which constants read, after power-up?
//	measure   what begins a measurement, how does the chip show that it has
//	          begun, how long does it take at most, how does it tell that it
//	          has ended, and where is the result?
//	sleep     what ends it, where the chip doesn't fall asleep by itself?
//	fields    which bits of the result are which quantity?
//
// The engine applies the rules of docs/drivers-howto.md to every chip; a
// description states only where one doesn't apply, and why (step.once,
// family.unverifiable). What is no table stands beside it as Go code: chip.decode
// turns a checked frame into values, field.correct changes one value. A chip
// whose steps depend on what was read before is plain Go on the methods of
// device.
//
// Then it gets vectors and a byte-exact test in this package, a model with the
// data sheet's times in sensors/board/sim/chips, and a case in sensors/all.

// hex is what stands on the bus.
type hex = []byte

// A family is a driver: chips that share addresses and a description but for
// details. Where it has several models, the option "model" tells which it is.
type family struct {
	name      string // the driver's
	summary   string
	datasheet string // title and revision
	wiring    string
	timing    string
	kernel    string // its drivers and overlays for these chips

	// addresses are all that any model can have, the usual one first.
	addresses []string
	// models are the members; the first is the default. A family of one has
	// one without a name.
	models    []chip
	modelHelp string
	// aliases are other names of the driver, with the model that each is: "" in
	// a family of one.
	aliases map[string]string
	// options are numbers that fields or hooks need: a shunt's resistance. They
	// may be given for one channel where a field has its label.
	options []sensors.Option
	// unverifiable says why a fault can look like a value here; required where
	// nothing in the description tells a stuck bus from a result.
	unverifiable string
}

// A chip is the description of one model.
type chip struct {
	name      string   // of the model, as the option takes it
	part      string   // "TMP117", as on the part
	addresses []string // those it can have; nil: the family's
	startup   time.Duration
	sum       *checksum // over the answers; nil: they have none
	// commands tells that what is written first is a command and not a
	// register's number: a probe of the chip is more than a read.
	commands bool

	settings []setting
	channels []channel

	identity  []identity // asked in New; nil: the chip has nothing to be known by
	release   []step     // in New before identity: ends what another program began
	wake      []step     // before anything else, in New and at each measurement
	prepare   []step     // once in New, after identity
	constants []step     // read in New; without a checksum twice
	measure   []step     // for each channel
	sleep     []step     // after measure, also where it failed; one step at most

	fields []field
	// decode computes the values of fields without a type from a frame that was
	// checked.
	decode func(f *frame) error
}

// A step is one thing to be done: a write, a wait and a read, each of which
// may be missing, in this order.
type step struct {
	write hex // register or command first
	// set is written too, and read back from the register set[0] when the
	// results are there, so that a reset, a lost write or another program's
	// setting shows.
	set  hex
	back hex    // what it then reads; nil: as it was written
	mask uint64 // the bits of it that count; 0: all
	from hex    // what it is read by; nil: set[0]
	// merge keeps the bits of the register that aren't in mask, and writes it
	// only where one that is differs: it is an EEPROM, or has reserved bits.
	merge bool
	// with names settings, or "channel", whose bits are or-ed into the end of
	// write, set and back.
	with []string
	// absent tells that a write without an answer is no failure.
	absent bool

	wait time.Duration
	// times names settings whose time is added to wait.
	times []string
	// during names settings whose times are how long a measurement takes: the
	// step is left out where that is less than a transaction needs to fall into
	// it.
	during []string
	// unseen names them, too: the step is done only where during would leave it out.
	unseen []string

	// One of them: so many bytes, checksums not counted, are read; those of a
	// result are appended to the frame, or to the constants. Without a checksum
	// a result is read again until two reads agree, at most three times. After a wait the read is a
	// transaction of its own, else it is one with the write.
	result int
	status int
	// plain tells that this answer has no checksum, though others have.
	plain bool
	// patience is how long an address that doesn't answer to a read means that
	// the chip isn't ready.
	patience time.Duration
	// until is repeated for at most its time.
	until *until
	must  []test
	// begun tells that must is to show a measurement that was begun by the step
	// before. Where that was too long ago, because the machine is busy, it is
	// begun again.
	begun bool
	// once says why a result without a checksum is read but once.
	once string
}

// A test looks at the bytes of one read as one big-endian number.
type test struct {
	mask   uint64 // 0: all bits
	is     uint64
	not    bool           // it mustn't be so
	reason sensors.Reason // empty: identity
	says   string         // what is wrong where the test fails, and what to do
}

// An until is a test that a chip passes when it is ready. A command that needs
// time for its answer is written again after each answer that doesn't pass;
// every is then at least that time.
type until struct {
	mask, is uint64
	not      bool // it mustn't be so
	within   time.Duration
	every    time.Duration
}

// A checksum follows every so many bytes of an answer.
type checksum struct {
	poly, init byte
	every      int
	smbus      bool // begins with the address and what was written: SMBus PEC
}

// String says it in words; nothing where there is none.
func (c *checksum) String() string {
	switch {
	case c == nil:
		return ""
	case c.smbus:
		return "SMBus PEC (CRC-8)"
	}
	return fmt.Sprintf("CRC-8 after every %d bytes", c.every)
}

// sensirion is the checksum of Sensirion's chips and some others: one byte
// after each word.
var sensirion = &checksum{poly: 0x31, init: 0xff, every: 2}

// An identity is what only chips of the family answer: a register with a known
// content or, with a checksum, a serial number.
type identity struct {
	step          // with status, the bytes to be read
	mask   uint64 // 0: all bits
	is     []part
	looks  map[uint64]string // contents of other chips' registers, and their names
	serial bool              // any answer with a good checksum; is may still name the part
	probe  bool              // a scan asks, and New doesn't: the measurement tells as much
	// unnumbered tells that such an answer is no serial number.
	unnumbered bool
	by         string // in words: "ID register 0x0F reads 0x0117"
	elective   bool   // asked only to be told from a result: another answer is no error, and a scan doesn't ask
}

// A part is what one content of an identity register says.
type part struct {
	value uint64
	name  string // "BMP390"; empty: the chip's
}

// A setting is an option with a choice of values.
type setting struct {
	name    string
	help    string
	unset   string // the default value's name
	channel bool   // may be given for one channel
	values  []value
	// auto, if not nil, adds the choice "auto", which is the default: the
	// values stand from the coarsest to the finest, and each measurement takes
	// the finest that its result allows.
	auto *auto
}

// A value is one choice of a setting.
type value struct {
	name   string
	bits   uint64
	time   time.Duration // what it adds to the waits that name it
	scale  float64       // of the fields that name it; 0: 1
	advice string        // to somebody whose value is beyond it
}

// auto says where in the frame a setting that is too fine or too coarse shows.
type auto struct {
	at        int
	kind      string // as field.kind
	low, high int64  // below low a finer one is taken, from high on a coarser
}

// A channel is an input that is measured by itself.
type channel struct {
	name string
	bits uint64
	// extra tells that it is measured only where the configuration names it.
	extra bool
}

// A field is one quantity in the frame:
//
//	value = raw · scale + offset
//
// with the scales of the settings in by multiplied in, divided by the option
// in per. (The kernel's IIO means (raw + offset) · scale.)
type field struct {
	quantity *sensors.Quantity // its range is what is plausible
	label    string            // of a quantity with one; empty: the channel's name

	at   int    // the first byte in the frame
	kind string // "be:s12/16>>4" as the kernel writes it, or "be:f32"; empty: decode sets it

	scale, offset float64 // 0: 1
	by            []string
	per           string

	notReady []int64 // what it reads that wasn't converted
	// agree is how far two measurements may be apart, in the quantity's unit, of
	// a chip whose result can't be read twice; 0: one will do.
	agree float64
	// low and high are the ends of a saturated value: at or beyond them the value isn't known. Both 0:
	// none.
	low, high int64
	says      string // of a saturated one; {gain} is the setting's value
	// clamp limits a value that was found plausible.
	clamp   *sensors.Range
	correct func(f *frame, v float64) (float64, error)
}

// A frame is a measurement whose bytes were checked.
type frame struct {
	data      []byte // of the results, without checksums
	constants []byte // of the constants
	values    []float64
	options   *sensors.Options
	chosen    map[string]int // the value of each setting by number
	chip      *chip
}
