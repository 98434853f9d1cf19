package daemon

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event is what a signal asks of the daemon. Programs may have their own besides
// those here.
type Event string

// Terminate closes Process.Done besides arriving as an event.
const (
	Terminate Event = "terminate"
	Reload    Event = "reload"
	// Ignore: the signal is ignored, in the sense of signal(7).
	Ignore Event = ""
)

// DefaultSignals is the SignalMap of [New]. PEP 3143 asks for terminal I/O
// signals to be ignored, because a background process is stopped by them, and
// for SIGTERM to end the process; that SIGHUP reloads is a daemon's custom since
// it has no terminal (daemon(7)). SIGPIPE needs no entry: writing to a closed
// pipe is an error and never the daemon's end.
func DefaultSignals() map[syscall.Signal]Event {
	return map[syscall.Signal]Event{
		syscall.SIGTTIN: Ignore,
		syscall.SIGTTOU: Ignore,
		syscall.SIGTSTP: Ignore,
		syscall.SIGTERM: Terminate,
		syscall.SIGINT:  Terminate,
		syscall.SIGHUP:  Reload,
	}
}

// receiver turns signals into events. Each event has its place, so a burst of
// one signal can't crowd out another; many of the same become one.
type receiver struct {
	events chan Event
	done   chan struct{} // closed at the first Terminate
	once   sync.Once
	quit   chan struct{}
	all    sync.WaitGroup
	chans  []chan os.Signal
}

func receive(signals map[syscall.Signal]Event, terminal bool) *receiver {
	r := &receiver{events: make(chan Event), done: make(chan struct{}), quit: make(chan struct{})}
	places := map[Event]chan os.Signal{}
	for sig, event := range signals {
		if event == Ignore {
			if !terminal { // at a terminal ^Z shall work
				ignored.add(sig)
			}
			continue
		}
		if places[event] == nil {
			places[event] = make(chan os.Signal, 1)
		}
		signal.Notify(places[event], sig)
	}
	for event, place := range places {
		r.chans = append(r.chans, place)
		r.all.Go(func() { r.forward(event, place, terminal) })
	}
	// Caught and dropped, not ignored: being ignored would be inherited by
	// children, and without a handler the Go runtime ends the program when
	// standard output or error is a closed pipe.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	r.chans = append(r.chans, pipe)
	return r
}

func (r *receiver) forward(event Event, place <-chan os.Signal, terminal bool) {
	for {
		var sig os.Signal
		select {
		case sig = <-place:
		case <-r.quit:
			return
		}
		means := event
		if terminal && sig == syscall.SIGHUP && hungUp() {
			means = Terminate
		}
		if means == Terminate {
			r.once.Do(func() { close(r.done) })
		}
		select {
		case r.events <- means:
		case <-r.quit:
			return
		}
	}
}

// hungUp tells whether a process that had a controlling terminal has lost it. A
// program in the foreground ends with its terminal; only where the terminal is
// still there was SIGHUP somebody's request.
func hungUp() bool {
	tty, err := hasTerminal(os.Getpid())
	return err == nil && !tty
}

// stop ends the goroutines. The signals stay caught: a second TERM while the
// process is ending shall not turn its exit status into a death by signal.
func (r *receiver) stop() {
	close(r.quit)
	r.all.Wait()
}

// ignored is the set of signals this process ignores.
var ignored ignoredSet

type ignoredSet struct {
	mu   sync.Mutex
	sigs []os.Signal
}

func (s *ignoredSet) add(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sigs = append(s.sigs, sig)
	signal.Ignore(sig)
}

// withDefaults calls f, which starts a child, while nothing is ignored: what is
// ignored would stay so in the child, what is caught becomes the default there
// (execve(2)).
func (s *ignoredSet) withDefaults(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sigs) == 0 {
		return f()
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, s.sigs...)
	defer signal.Ignore(s.sigs...)
	return f()
}

// sigaction is at least the kernel's struct sigaction, on every architecture. The
// handler is its first word.
type sigaction [4]uint64

func (a *sigaction) handler() uintptr { return *(*uintptr)(unsafe.Pointer(a)) }

const ignoreAction uintptr = 1 // SIG_IGN; SIG_DFL is 0

// setAction is rt_sigaction(2): nil sets nothing, or asks for nothing.
func setAction(sig uintptr, to, old *sigaction) {
	const setSize = 8
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), setSize, 0, 0)
}

// defaultActions gives signals that ask for the process's end their default
// action, by which the kernel itself ends it, until restore is called; a program
// that is executed keeps it. The Go runtime's handler ends the process as well,
// but by a second signal: where the program is executed between both there is
// none, and whoever sent the first waits for ever. Those that are ignored stay so.
func defaultActions(signals ...syscall.Signal) (restore func()) {
	before := make([]sigaction, len(signals))
	for i, sig := range signals {
		setAction(uintptr(sig), nil, &before[i])
		if before[i].handler() != ignoreAction {
			setAction(uintptr(sig), new(sigaction), nil)
		}
	}
	return func() {
		for i, sig := range signals {
			setAction(uintptr(sig), &before[i], nil)
		}
	}
}

// init undoes what was inherited for the signals that C libraries keep for
// themselves (signal(7), "Real-time signals"), which package signal passes over.
// GNU make 4.3 leaves them ignored in what it starts, and so they would be in
// the daemon and in all its children.
func init() {
	const first, last = 32, 34
	for sig := uintptr(first); sig <= last; sig++ {
		var old sigaction
		setAction(sig, nil, &old)
		if old.handler() == ignoreAction {
			setAction(sig, new(sigaction), nil)
		}
	}
}

// cleanSignals makes every signal's action the default, and none blocked, for
// the program that this thread executes next. The goroutine must be locked to
// its thread. Signals the starter ignored or blocked would stay so otherwise,
// and a daemon with SIGTERM blocked can't be stopped; daemon(7), steps 2 and 3.
func cleanSignals() (restore func(), err error) {
	status, err := readStatus("/proc/thread-self/status")
	if err != nil {
		return nil, err
	}
	// Not signal.Reset, which restores what was inherited. A caught signal
	// becomes the default at the execution. Only those that are ignored: a TERM
	// that was caught here would be lost, and whoever sent it would wait for ever.
	caught := make(chan os.Signal, 1)
	ignored := status.signals("SigIgn")
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if ignored.has(sig) {
			signal.Notify(caught, sig)
		}
	}
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		signal.Stop(caught)
		return nil, fmt.Errorf("unblock all signals: %w", err)
	}
	return func() { signal.Stop(caught) }, nil
}

// dirtySignals tells whether signals are blocked or ignored in a way that this
// process can't undo without executing the program again.
func dirtySignals() (bool, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status, err := readStatus("/proc/thread-self/status")
	if err != nil {
		return false, err
	}
	terminal := sigset(1<<(syscall.SIGTTIN-1) | 1<<(syscall.SIGTTOU-1) | 1<<(syscall.SIGTSTP-1))
	return status.signals("SigBlk") != 0 || status.signals("SigIgn")&^terminal != 0, nil
}

// sigset is a set of signals as /proc shows it: bit 0 is signal 1.
type sigset uint64

func (s sigset) has(sig syscall.Signal) bool { return s>>(uint(sig)-1)&1 == 1 }

func (s sigset) String() string {
	var names []string
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if !s.has(sig) {
			continue
		}
		name := unix.SignalName(sig)
		if name == "" {
			name = strconv.Itoa(int(sig))
		}
		names = append(names, strings.TrimPrefix(name, "SIG"))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// procStatus is /proc/PID/status, proc_pid_status(5), by its keys.
type procStatus map[string]string

func readStatus(file string) (procStatus, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	status := procStatus{}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			status[key] = strings.TrimSpace(value)
		}
	}
	return status, nil
}

// signals reads a mask. A kernel that doesn't show it has none to tell of.
func (s procStatus) signals(key string) sigset {
	n, err := strconv.ParseUint(s[key], 16, 64)
	if err != nil {
		return 0
	}
	return sigset(n)
}
