// Package protocol is what the rig on the host and the init program in the
// guest say to each other over a virtio serial port: frames, requests, answers,
// and the parameters of each method.
//
// A frame is two big-endian 32-bit lengths, a JSON header of the first length
// and raw bytes of the second, so that a binary of 20 MB needs no base64.
// The package knows nothing of QEMU and nothing of the models.
package protocol

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// PortName is the virtio serial port's name in the guest's sysfs.
const PortName = "dormouse.rig"

// SerialMark is what the guest writes to a serial line once it has taken it from
// the console; frames follow.
const SerialMark = "\x00dormouse takes the line\x00"

// SerialParameter names, on the kernel's command line, the serial line to talk
// over where the machine has no virtio port.
const SerialParameter = "dormouse.line="

// MaxHeader and MaxBody bound a frame: a stream out of step must end in an
// error, not in an allocation of 4 GB.
const (
	MaxHeader = 16 << 20
	MaxBody   = 256 << 20
)

// Request asks the guest to do something.
type Request struct {
	ID     uint64
	Method string
	Params json.RawMessage `json:",omitempty"`
}

// Response answers the request of the same ID.
type Response struct {
	ID     uint64
	Error  *Error          `json:",omitempty"`
	Result json.RawMessage `json:",omitempty"`
}

// Error carries the guest's error text and, where there is one, its errno, so
// that errors.Is(err, fs.ErrNotExist) answers on the host as it would there.
type Error struct {
	Text  string
	Errno syscall.Errno `json:",omitempty"`
}

func (e *Error) Error() string { return "guest: " + e.Text }

func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// NewError makes the wire's form of err.
func NewError(err error) *Error {
	e := &Error{Text: err.Error()}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		e.Errno = errno
	}
	return e
}

// Write sends one frame. Callers on the same w take turns by their own lock.
func Write(w io.Writer, header any, body []byte) error {
	h, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("encoding a frame's header: %w", err)
	}
	if len(h) > MaxHeader || len(body) > MaxBody {
		return fmt.Errorf("frame of %d and %d bytes exceeds %d and %d", len(h), len(body), MaxHeader, MaxBody)
	}
	buf := make([]byte, 8, 8+len(h)+len(body))
	binary.BigEndian.PutUint32(buf[0:], uint32(len(h)))
	binary.BigEndian.PutUint32(buf[4:], uint32(len(body)))
	buf = append(append(buf, h...), body...)
	if _, err := w.Write(buf); err != nil {
		return fmt.Errorf("writing a frame: %w", err)
	}
	return nil
}

// Read receives one frame, decodes its header into header and returns its body.
// At the end of the stream between two frames the error is io.EOF.
func Read(r io.Reader, header any) ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		if err == io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("reading a frame's lengths: %w", err)
	}
	n, m := binary.BigEndian.Uint32(size[0:]), binary.BigEndian.Uint32(size[4:])
	if n > MaxHeader || m > MaxBody {
		return nil, fmt.Errorf("frame announces %d and %d bytes, more than %d and %d: the stream is out of step", n, m, MaxHeader, MaxBody)
	}
	buf := make([]byte, int(n)+int(m))
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("reading a frame of %d bytes: %w", len(buf), err)
	}
	if err := json.Unmarshal(buf[:n], header); err != nil {
		return nil, fmt.Errorf("decoding a frame's header: %w", err)
	}
	return buf[n:], nil
}

// The methods. The comment tells parameters → result; "body" is the frame's
// raw part.
const (
	MethodHello     = "hello"      // – → Hello
	MethodModprobe  = "modprobe"   // Modprobe → –
	MethodStart     = "start"      // Command, body: stdin → Started
	MethodWait      = "wait"       // Process → Exit
	MethodKill      = "kill"       // Signal → –
	MethodRead      = "read"       // Path → body
	MethodWrite     = "write"      // File, body → –
	MethodList      = "list"       // Path → []Entry
	MethodRemove    = "remove"     // Path → –
	MethodMkdir     = "mkdir"      // File → –
	MethodProcess   = "process"    // Process → ProcessInfo
	MethodHTTP      = "http"       // HTTPRequest, body → HTTPResponse, body
	MethodClocks    = "clocks"     // – → Clocks
	MethodKernelLog = "kernel-log" // – → body

	MethodGPIOAdd    = "gpio.add"    // GPIOChip → GPIOAdded
	MethodGPIOLive   = "gpio.live"   // GPIOLive → GPIOAdded
	MethodGPIOPull   = "gpio.pull"   // GPIOPull → –
	MethodGPIOValue  = "gpio.value"  // GPIOLine → GPIOLevel
	MethodGPIOPulses = "gpio.pulses" // GPIOPulses → GPIOPulsed
	MethodGPIOHold   = "gpio.hold"   // GPIOHold → –
	MethodGPIODrop   = "gpio.drop"   // GPIOLine → –

	MethodTraceStart = "trace.start" // Trace → –
	MethodTraceStop  = "trace.stop"  // – → body

	MethodI2CAttach    = "i2c.attach"    // I2CAttach → I2CAttached
	MethodI2CDetach    = "i2c.detach"    // Bus → –
	MethodI2CAdd       = "i2c.add"       // I2CChip → –
	MethodI2CPresent   = "i2c.present"   // I2CPresent → –
	MethodI2CPrompt    = "i2c.prompt"    // I2CPrompt → –
	MethodI2CSet       = "i2c.set"       // I2CSet → –
	MethodI2CPoke      = "i2c.poke"      // I2CMemory, body → –
	MethodI2CPeek      = "i2c.peek"      // I2CMemory → body
	MethodI2CFault     = "i2c.fault"     // I2CFault → –
	MethodI2CTransfers = "i2c.transfers" // Bus → []i2c.Transfer

	MethodSPIAttach   = "spi.attach"   // SPIAttach → SPIAttached
	MethodSPIDetach   = "spi.detach"   // Bus → –
	MethodSPISet      = "spi.set"      // SPISet → –
	MethodSPIFault    = "spi.fault"    // SPIFault → –
	MethodSPIMessages = "spi.messages" // Bus → []spi.Message

	MethodW1Attach = "w1.attach" // W1Attach → W1Attached
	MethodW1Detach = "w1.detach" // Bus → –
	MethodW1Add    = "w1.add"    // W1Slave → –
	MethodW1Set    = "w1.set"    // W1Slave → –
)

// Hello is the guest's first word about itself.
type Hello struct {
	Release string        // uname -r
	Uptime  time.Duration // CLOCK_BOOTTIME when it began to serve
}

// Modprobe loads a module of the initramfs, and before it those it needs.
type Modprobe struct {
	Module string
	Params string
}

// Command is a program to be run.
type Command struct {
	Argv []string
	Env  []string // whole environment; nil: PATH and HOME only
	Dir  string
	UID  uint32
	GID  uint32
	// Groups are the supplementary groups, used when UID or GID is not 0.
	Groups []uint32
}

// Started names a process begun by MethodStart; it is kept until waited for.
type Started struct{ PID int }

// Process names a process.
type Process struct {
	PID int
	// Timeout ends a wait: the process and its group are killed and Exit says so.
	// 0 waits for ever.
	Timeout time.Duration
}

// Exit tells how a process ended.
type Exit struct {
	Status   int // exit status, or −1 when a signal ended it
	Signal   syscall.Signal
	TimedOut bool
	Stdout   []byte
	Stderr   []byte
}

// Signal sends a signal; a negative PID means a process group.
type Signal struct {
	PID    int
	Signal syscall.Signal
}

// Path names a file of the guest.
type Path struct{ Path string }

// File is a file to write or a directory to make.
type File struct {
	Path   string
	Mode   uint32 // permission bits
	Append bool
}

// Entry is one name in a directory.
type Entry struct {
	Name string
	Mode uint32 // as fs.FileMode
	Size int64
	Link string // the target, of a symbolic link
}

// ProcessInfo is what /proc tells about a process.
type ProcessInfo struct {
	Name        string
	Parent      int
	Threads     int
	Awake       int   // of those, the ones that don't sleep: they run, or wait for the processor or a disk
	Voluntary   int64 // voluntary context switches, summed over all threads: the process's wake-ups
	Involuntary int64
	Files       map[int]string // descriptor → link
	Cwd         string
	Exe         string
}

// HTTPRequest is a request made from inside the guest.
type HTTPRequest struct {
	Method string
	URL    string
	Header map[string][]string
	// Unix is the path of a Unix socket to dial instead of the URL's host.
	Unix string
}

// HTTPResponse is the server's answer.
type HTTPResponse struct {
	Status int
	Proto  string
	Header map[string][]string
}

// Clocks are the guest's clocks, read together.
type Clocks struct {
	Monotonic time.Duration
	Boottime  time.Duration
	Realtime  time.Time
}

// GPIOChip is a chip for gpio-sim to make.
type GPIOChip struct {
	Name  string // of the configfs directory
	Label string
	Lines []string // one name per line; "" leaves it unnamed
}

// GPIOAdded tells where the chip is.
type GPIOAdded struct {
	Device string // "gpiochip0"
	Base   int    // global number of line 0, as the kernel's trace counts
	Dir    string // sysfs directory with sim_gpioN in it
}

// GPIOLive removes a chip from the system or brings it back.
type GPIOLive struct {
	Name string
	Live bool
}

// GPIOLine is a line of a chip.
type GPIOLine struct {
	Chip string
	Line int
}

// GPIOPull drives an input by its pull.
type GPIOPull struct {
	GPIOLine
	Up bool
}

// GPIOLevel is a line's level.
type GPIOLevel struct{ High bool }

// GPIOPulses makes Count pulses: the line leaves its level and comes back,
// each half a Period. A Period of 0 is as fast as the guest can.
type GPIOPulses struct {
	GPIOLine
	Count  int
	Period time.Duration
}

// GPIOPulsed is the answer to GPIOPulses: the clocks after the last edge, and
// how long all edges took by them.
type GPIOPulsed struct {
	Clocks
	Took time.Duration
}

// GPIOHold requests a line, as another program would.
type GPIOHold struct {
	GPIOLine
	Consumer string
}

// Trace turns kernel trace events on.
type Trace struct {
	Events []string // "gpio", "sched/sched_wakeup"
}

// Bus names an attached adapter, by the number given at its attachment.
type Bus struct{ Bus int }

// I2CAttach plugs an adapter in.
type I2CAttach struct{ Bus int }

// I2CAttached tells the adapter's number: /dev/i2c-N.
type I2CAttached struct{ Number int }

// I2CChip puts a chip on a bus. The specification is i2c.Spec's.
type I2CChip struct {
	Bus     int
	Address uint16
	Spec    json.RawMessage
	// Power is the chip's supply: a line of a GPIO chip. Empty: always on.
	Power *GPIOLine `json:",omitempty"`
}

// I2CPresent pulls a chip out or puts it back.
type I2CPresent struct {
	Bus     int
	Address uint16
	Present bool
}

// I2CPrompt makes a chip have done by each message what the one before it asked
// for, or take its time again.
type I2CPrompt struct {
	Bus     int
	Address uint16
	Prompt  bool
}

// I2CSet changes what a chip measures.
type I2CSet struct {
	Bus     int
	Address uint16
	Values  map[string]int
}

// I2CMemory is a stretch of a chip's registers.
type I2CMemory struct {
	Bus      int
	Address  uint16
	Register int
	Length   int
}

// I2CFault makes a whole bus or one address misbehave.
type I2CFault struct {
	Bus     int
	Address uint16 // 0: every address
	Fault   string // i2c.Fault's text
}

// SPIAttach plugs an adapter with a chip in. An adapter that was detached comes
// back with its chip.
type SPIAttach struct {
	Bus   int
	Model string // the kernel's name of the chip
}

// SPIAttached tells the number of the adapter's bus: spiN.0.
type SPIAttached struct{ Number int }

// SPISet changes what a chip measures.
type SPISet struct {
	Bus    int
	Values map[string]int
}

// SPIFault breaks the wire from a chip.
type SPIFault struct {
	Bus   int
	Fault string // spi.Fault's text
}

// W1Attach plugs a DS2490 with these slaves in.
type W1Attach struct {
	Bus    int
	Slaves []W1Slave
}

// W1Attached tells the master's directory in sysfs.
type W1Attached struct{ Master string }

// W1Slave is a DS18B20.
type W1Slave struct {
	Bus    int
	Serial uint64 // 48 bits
	// Raw is the temperature in 1/16 °C.
	Raw    int16
	Absent bool
	BadCRC bool
}
