package daemon

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notifier sends the messages of sd_notify(3), where a supervisor listens.
type notifier struct{ active bool }

// newNotifier finds out whether a supervisor listens. Where one is named that
// can't be reached, that is a warning: the daemon can do its work all the same.
func newNotifier() (n notifier, warning string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return n, ""
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return n, fmt.Sprintf("NOTIFY_SOCKET: %v: the supervisor won't learn when the daemon is ready; unset the variable if it is a leftover", err)
	}
	_ = conn.Close() // nothing was sent
	return notifier{active: true}, ""
}

func (n notifier) send(state string) error {
	if !n.active {
		return nil
	}
	if _, err := systemd.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify the supervisor: %w", err)
	}
	return nil
}

func (n notifier) ready(status string) error { return n.send("READY=1\nSTATUS=" + oneLine(status)) }

// oneLine keeps a text from saying more than one thing to the supervisor.
func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Status tells the supervisor, and who asks it, what the daemon is doing.
func (p *Process) Status(status string) error { return p.notifier.send("STATUS=" + oneLine(status)) }

// Reloading tells the supervisor that the configuration is being read again.
// Reloaded has to follow.
func (p *Process) Reloading() error {
	// CLOCK_MONOTONIC, so that a message of an earlier reload isn't taken for
	// this one's; sd_notify(3), RELOADING=1.
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return fmt.Errorf("read the monotonic clock: %w", err)
	}
	return p.notifier.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(ts.Nano()/1000, 10))
}

// Reloaded tells the supervisor that the daemon works again.
func (p *Process) Reloaded(status string) error { return p.notifier.ready(status) }

// Stopping tells the supervisor that the daemon is about to end.
func (p *Process) Stopping() error { return p.notifier.send("STOPPING=1") }

// ExtendTimeout tells the supervisor that the start, reload or end that is under
// way needs up to d more from now.
func (p *Process) ExtendTimeout(d time.Duration) error {
	return p.notifier.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// WatchdogInterval is how often at least the supervisor expects
// [Process.Alive]; 0: it doesn't, or can't be told. Half of it is a good interval:
// sd_watchdog_enabled(3).
func (p *Process) WatchdogInterval() (time.Duration, error) {
	if !p.notifier.active { // the variables are leftovers
		return 0, nil
	}
	d, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("read the watchdog's interval: %w", err)
	}
	return d, nil
}

// Alive tells the supervisor's watchdog that the daemon runs.
func (p *Process) Alive() error { return p.notifier.send("WATCHDOG=1") }

// Listeners returns the sockets that the supervisor opened: systemd's
// (sd_listen_fds(3)), or the one that a superserver in "wait" mode left as
// standard input. There may be none.
func (p *Process) Listeners() ([]net.Listener, error) {
	if p.plan.Situation == Superserver {
		l, err := net.FileListener(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("listen on standard input, as the superserver asks (it must be in \"wait\" mode): %w", err)
		}
		return []net.Listener{l}, nil
	}
	if p.plan.Listeners == 0 {
		return nil, nil
	}
	all, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("listen on the sockets from systemd: %w", err)
	}
	var listeners []net.Listener
	for i, l := range all {
		if l == nil {
			return nil, fmt.Errorf("socket %d from systemd isn't one that connections come in by", i)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// listenDescriptors are the numbers of systemd's sockets, if they are meant for
// this process.
func listenDescriptors(env func(string) string) []int {
	if env("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	n, err := strconv.Atoi(env("LISTEN_FDS"))
	if err != nil || n < 1 || n > 1024 {
		return nil
	}
	fds := make([]int, n)
	for i := range fds {
		fds[i] = 3 + i
	}
	return fds
}
