// Meter measures on an emulated Pi what processes cost, by their CPU clocks:
// where virtual time counts instructions those count them. It prints one
// number of nanoseconds a line.
//
//	meter wakes PID TIMES WAKES INTERVAL     one of each window of so many wakes, for one wake
//	meter scrapes PID TIMES SCRAPES ADDRESS  the same for scrapes of http://ADDRESS/metrics
//	meter start PIDFILE COMMAND…             a command and the daemon that it leaves behind
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "meter:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 5 && args[0] == "wakes":
		interval, err := time.ParseDuration(args[4])
		if err != nil {
			return err
		}
		return windows(args[1:4], func(n int) error {
			time.Sleep(time.Duration(n) * interval)
			return nil
		})
	case len(args) == 5 && args[0] == "scrapes":
		s, err := dial(args[4])
		if err != nil {
			return err
		}
		defer s.conn.Close()
		if err := s.scrape(); err != nil { // it renders the page
			return err
		}
		return windows(args[1:4], s.scrapes)
	case len(args) > 2 && args[0] == "start":
		return start(args[1], args[2:])
	}
	return errors.New("usage: meter wakes|scrapes|start …")
}

// windows prints what a process used in each of some windows, for one of the
// things that happen n times in each.
func windows(args []string, do func(n int) error) error {
	var pid, times, n int
	if _, err := fmt.Sscan(strings.Join(args, " "), &pid, &times, &n); err != nil {
		return err
	}
	for range times {
		before, err := cpu(pid)
		if err != nil {
			return err
		}
		if err := do(n); err != nil {
			return err
		}
		after, err := cpu(pid)
		if err != nil {
			return err
		}
		fmt.Println(int64(after-before) / int64(n))
	}
	return nil
}

// cpu reads the CPU clock of a process: clock_getcpuclockid(3), whose number is
// made as in the kernel's include/linux/posix-timers.h.
func cpu(pid int) (time.Duration, error) {
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// A scraper has one connection, which it keeps.
type scraper struct {
	conn    net.Conn
	in      *bufio.Reader
	request string
}

func dial(address string) (*scraper, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &scraper{conn, bufio.NewReader(conn), fmt.Sprintf(request, address)}, nil
}

// request is Prometheus's.
const request = "GET /metrics HTTP/1.1\r\nHost: %s\r\nUser-Agent: Prometheus/3.5.0\r\n" +
	"Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4," +
	"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n" +
	"Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"

// between lies between two scrapes: a program that is asked again before it has
// gone to sleep doesn't show what it costs to wake it.
const between = 20 * time.Millisecond

func (s *scraper) scrapes(n int) error {
	for range n {
		time.Sleep(between)
		if err := s.scrape(); err != nil {
			return err
		}
	}
	time.Sleep(between)
	return nil
}

func (s *scraper) scrape() error {
	if _, err := io.WriteString(s.conn, s.request); err != nil {
		return err
	}
	r, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, r.Body)
	if err == nil && (r.StatusCode != http.StatusOK || n == 0) {
		err = fmt.Errorf("%s with %d bytes", r.Status, n)
	}
	return errors.Join(err, r.Body.Close())
}

// start runs a command to its end and adds up what it used, its own children
// that it waited for, and the daemon that is ready then.
func start(pidFile string, argv []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, out)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	daemon, err := cpu(pid)
	if err != nil {
		return err
	}
	fmt.Println(int64(cmd.ProcessState.SystemTime() + cmd.ProcessState.UserTime() + daemon))
	return nil
}
