package sensors

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"time"

	"periph.io/x/conn/v3/i2c"
)

// A Sensor reads once when asked.
//
// Sense measures and reports. It begins a conversion, waits through the
// environment (others measure meanwhile), reads, checks, and leaves the chip
// asleep. When ctx ends it returns within one transaction. An error means
// that nothing was read; the sensor is then built again before the next try.
type Sensor interface {
	Sense(ctx context.Context, r *Report) error
}

// A Holder is a Sensor that keeps a wire between polls (a counted line). It is
// built once, survives failed reads and reloads that don't change it, and is
// closed at the end.
type Holder interface {
	Sensor
	io.Closer
}

// A Watcher is a Holder of a line whose edges may wake the daemon.
type Watcher interface {
	Holder
	// Watch is asked for after each read, and not during one.
	Watch() Watch
}

// A Watch is what an edge of a line triggers.
type Watch struct {
	Line Line // to wait on; nil: none at present
	// Wake names the sensors that are then read at once, besides this one.
	Wake []string
	// Limit is the least time from one such wake to the next: what comes
	// sooner is read when it has passed, so that a storm of edges costs one
	// wake in this time.
	Limit time.Duration
	// Changed tells that the last read found an edge before the watch did.
	Changed bool
}

// A Reconfigurer is a Holder that can go on with other options: with those that
// only say what the counted edges mean.
type Reconfigurer interface {
	Holder
	// Reconfigure takes the options, or returns false and changes nothing where
	// the wire would have to be taken anew. It isn't called during Sense.
	Reconfigure(o *Options) bool
}

// A Keeper is a Sensor whose count outlives the process. State is the count as
// of the last Sense, or of Close, which brings it up to date; it isn't asked
// for during one of them. Restore is called at most once, before the first
// Sense, with what State returned in an earlier life.
type Keeper interface {
	State() ([]byte, error)
	Restore([]byte) error
}

// A Driver makes sensors of one kind. Everything that is said about it
// anywhere (validation, help, documentation, pinout) comes from this table.
type Driver struct {
	Name      string // "bme280"
	Summary   string // one line: what it is, what it measures, its accuracy
	Datasheet string // title and revision, or the kernel's document
	Wiring    string // what is to be connected, enabled or loaded
	Timing    string // how long a read takes and why
	// Aliases are other names by which the configuration may call the driver,
	// each with the option "model" that it then has; empty: no model is chosen.
	Aliases map[string]string

	Options  []Option
	Channels []string // names of the inputs that may be chosen and configured apart
	// Measures is what it can report; nil where it depends on the hardware.
	Measures []*Quantity
	// Unverifiable says why a fault can give a wrong value without an error; empty:
	// the chip offers a check.
	Unverifiable string
	// Notes are known defects and peculiarities of what the driver reads, each
	// a sentence or two, for the help and the documents.
	Notes []string
	// NoRail says why the supply of what is read may not be switched by a rail;
	// empty: it may.
	NoRail string

	// Reasons are what its reads can fail with, besides those of its wires and of
	// any read: see ReasonsOf.
	Reasons []Reason
	// Checksum is what protects its answers: "CRC-8 after each word"; empty:
	// nothing does.
	Checksum string
	// Kernel names the kernel's drivers and overlays that read the same, for
	// those who prefer them; empty: none.
	Kernel string

	// Describe makes the driver of a sensor from the file that its option
	// description names: file is the name for messages, and data the content. Such
	// a driver has no other options and no New of its own. nil: the driver is as
	// it stands here. Description is the content that this driver was made from.
	Describe    func(file string, data []byte) (*Driver, error)
	Description string

	// Programs is what a driver has that runs programs; nil: it runs none.
	Programs *Programs

	// Identity is how the chip is recognised; nil: by nothing.
	Identity *Identification

	// Claims are the wires that the sensor uses, where they don't follow from the
	// types of its options. An option that is wrong has no value then. May be nil.
	Claims func(*Options) []Claim
	// Holds tells whether the sensor keeps its lines between reads: whether it is
	// a Holder. nil: it doesn't.
	Holds func(*Options) bool

	// Default is the default of an option where that depends on other options;
	// empty: the option's own. May be nil.
	Default func(o *Options, option string) string
	// Check finds what no option alone can: combinations. May be nil.
	Check func(*Options) error
	// New probes the sensor and loads what it needs to read it: identity,
	// calibration. It is called again after each power-up and after each
	// error, except of a Holder.
	New func(ctx context.Context, e Env) (Sensor, error)
}

// Env is what a sensor may use of the world.
type Env interface {
	Name() string // the sensor's
	Options() *Options

	// I2C is the chip at the options bus and addr. Each Tx is one transaction
	// with the bus's lock held; its error carries errno.
	I2C() *i2c.Dev
	// Line takes the line that the option of that name gives. Close it, unless
	// the sensor is a Holder that keeps it.
	Line(option string, c LineConfig) (Line, error)
	Files() Files
	// Open opens another wire that the sensor claims, by the functions of its
	// kind: OpenSPI, OpenSerial. What is left open when an attempt ends is closed
	// then, and the sensor built again.
	Open(c Claim, config any) (io.Closer, error)
	// Alone waits until no other sensor has the first claim of the kind to itself,
	// in this process or in another of this program, and keeps it until the
	// attempt ends: the chip at an I2C address, or the right to use lines in a
	// way that others would notice (a burst of ultrasound). Transactions of I2C
	// take it by themselves. Where ctx ends first the error is of the class busy.
	Alone(ctx context.Context, kind WireKind) error
	// Start starts a program and Wait waits for it, as the methods of cmd do.
	// They let the daemon distinguish its own children from orphans, which it
	// has to reap where it is process 1.
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error

	Now() Instant
	Sleep(ctx context.Context, d time.Duration) error
	// WithTimeout is a context that ends with context.DeadlineExceeded when d has
	// passed. Cancel it when the work is done.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Poll calls done every step until it says true or max has passed: then
	// the error is of the class not_ready. Where one call lasted beyond max,
	// because the machine was busy, there is one more.
	Poll(ctx context.Context, max, step time.Duration, done func() (bool, error)) error
	// Once runs f once in a wake, however many sensors call it with this key, and
	// returns f's error to each of them: for a bulk conversion.
	Once(key string, f func(context.Context) error) error
	// Value is another sensor's latest good reading, read before this one if
	// both are due; ok is false where there is none.
	Value(sensor, quantity string) (v float64, at Instant, ok bool)

	Log() *slog.Logger
}
