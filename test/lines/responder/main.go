// Program responder stands at the far end of a gpio-sim line and answers as a
// sensor would, in real time, while it runs another program:
//
//	responder signal LINE PERIOD ACTIVE -- PROGRAM ARGUMENT…
//	responder echo TRIGGER ECHO WIDTH,… -- PROGRAM ARGUMENT…
//	responder dht LINE FRAME,… -- PROGRAM ARGUMENT…
//
// Lines are offsets on the one gpio-sim chip, times are in microseconds. A
// frame is in hexadecimal and may be short; an empty one is no answer, as is an
// echo of width 0. The last of a list goes on for ever. It ends with the
// program, with its exit status.
//
// What answers has real-time priority, so that it sees a pulse of the program
// while it lasts. All calls the kernel without telling Go's scheduler, whose help
// would cost more time than the pulses last.
package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "responder:", err)
		os.Exit(125)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	end := slices.Index(args, "--")
	if end < 1 || end == len(args)-1 {
		return 0, errors.New("usage: responder signal|echo|dht ARGUMENT… -- PROGRAM ARGUMENT…")
	}
	answer, err := answerer(args[0], args[1:end])
	if err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	child := exec.Command(args[end+1], args[end+2:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return 0, err
	}
	var ended atomic.Bool
	go func() {
		err = child.Wait()
		ended.Store(true)
	}()
	answer(ended.Load)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// answerer makes what answers until it is told to stop.
func answerer(what string, args []string) (func(stop func() bool), error) {
	switch {
	case what == "signal" && len(args) == 3:
		pull, err := openLine(args[0], "pull")
		times, errTimes := micros(args[1:])
		if err := errors.Join(err, errTimes); err != nil {
			return nil, err
		}
		return func(stop func() bool) { signal(pull, times[0], times[1], stop) }, nil
	case what == "echo" && len(args) == 3:
		trigger, errTrigger := openLine(args[0], "value")
		pull, errPull := openLine(args[1], "pull")
		widths, errWidths := micros(strings.Split(args[2], ","))
		if err := errors.Join(errTrigger, errPull, errWidths); err != nil {
			return nil, err
		}
		return func(stop func() bool) { echo(trigger, pull, widths, stop) }, nil
	case what == "dht" && len(args) == 2:
		value, errValue := openLine(args[0], "value")
		pull, errPull := openLine(args[0], "pull")
		frames, errFrames := frames(args[1])
		if err := errors.Join(errValue, errPull, errFrames); err != nil {
			return nil, err
		}
		return func(stop func() bool) { dht(value, pull, frames, stop) }, nil
	}
	return nil, fmt.Errorf("%s with %d arguments is nothing to answer as", what, len(args))
}

func micros(texts []string) ([]time.Duration, error) {
	var all []time.Duration
	for _, text := range texts {
		us, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		all = append(all, time.Duration(us)*time.Microsecond)
	}
	return all, nil
}

func frames(list string) ([][]byte, error) {
	var all [][]byte
	for _, text := range strings.Split(list, ",") {
		frame, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		all = append(all, frame)
	}
	return all, nil
}

// A line is an attribute of a simulated line: "pull" drives it, "value" shows
// what it is driven to, or else how it is pulled.
type line struct{ fd uintptr }

func openLine(offset, attribute string) (line, error) {
	paths, err := filepath.Glob("/sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio" + offset + "/" + attribute)
	if err != nil || len(paths) != 1 {
		return line{}, fmt.Errorf("%d lines have the offset %s: %v", len(paths), offset, err)
	}
	fd, err := unix.Open(paths[0], unix.O_RDWR, 0)
	if errors.Is(err, unix.EACCES) {
		fd, err = unix.Open(paths[0], unix.O_RDONLY, 0)
	}
	return line{uintptr(fd)}, err
}

var up, down = []byte("pull-up"), []byte("pull-down")

// drive panics where the kernel refuses: nothing could be tested then.
func (l line) drive(high bool) {
	pull := down
	if high {
		pull = up
	}
	if _, _, errno := unix.RawSyscall6(unix.SYS_PWRITE64, l.fd, uintptr(unsafe.Pointer(&pull[0])), uintptr(len(pull)), 0, 0, 0); errno != 0 {
		panic(errno)
	}
}

func (l line) high() bool {
	var text [2]byte
	if _, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, l.fd, uintptr(unsafe.Pointer(&text)), 1, 0, 0, 0); errno != 0 {
		panic(errno)
	}
	return text[0] == '1'
}

func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// nap sleeps until a moment, and lets the program run.
func nap(until time.Duration) {
	at := unix.NsecToTimespec(int64(until))
	_, _, errno := unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&at)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		panic(errno)
	}
}

// spin waits until a moment and returns it, so that one wait follows another
// without drift. It sleeps until shortly before: the time of a machine that is idle
// passes at once.
func spin(until time.Duration) time.Duration {
	const shortly = 200 * time.Microsecond
	for now() < until-shortly {
		nap(until - shortly)
	}
	for now() < until {
	}
	return until
}

// await looks at a level again and again and tells whether it came.
func await(l line, high bool, every time.Duration, stop func() bool) bool {
	for l.high() != high {
		if stop() {
			return false
		}
		nap(now() + every)
	}
	return true
}

// release pulls a line up that is driven low, until it is released: gpio-sim
// takes the pull of a line at the time that it is set, and only of an input.
func release(value, pull line, stop func() bool) bool {
	for pull.drive(true); !value.high(); pull.drive(true) {
		if stop() {
			return false
		}
		nap(now() + 50*time.Microsecond)
	}
	return true
}

// first lets this thread run before all others.
func first() {
	fifo := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 10}
	if err := unix.SchedSetAttr(0, &fifo, 0); err != nil {
		panic(err)
	}
}

// signal has a period and is high for a part of it.
func signal(pull line, period, active time.Duration, stop func() bool) {
	at := now()
	for !stop() {
		pull.drive(true)
		spin(at + active)
		pull.drive(false)
		at = spin(at + period)
	}
}

// take is the first of a list, which loses it unless it is the last.
func take[T any](list *[]T) T {
	first := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	return first
}

// echo answers the end of each trigger pulse.
func echo(trigger, pull line, widths []time.Duration, stop func() bool) {
	first()
	pull.drive(false)
	const often = 25 * time.Microsecond // a trigger pulse is hardly longer
	for await(trigger, true, often, stop) && await(trigger, false, often, stop) {
		width := take(&widths)
		if width == 0 {
			continue
		}
		at := spin(now() + 450*time.Microsecond)
		pull.drive(true)
		spin(at + width)
		pull.drive(false)
	}
}

// listening waits until the program has an interrupt on its line. A real DHT
// answers within 40 µs and waits for nobody; but to begin to listen the kernel
// makes a thread, for which this machine may take milliseconds, and has some
// things to do when it is there.
func listening(stop func() bool) bool {
	fd, err := unix.Open("/proc/interrupts", unix.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(fd)
	text := make([]byte, 64<<10)
	for !stop() {
		read := 0
		for {
			n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&text[read])), uintptr(len(text)-read), uintptr(read), 0, 0)
			if errno != 0 {
				panic(errno)
			}
			if read += int(n); n == 0 || read == len(text) {
				break
			}
		}
		if bytes.Contains(text[:read], []byte("dormouse")) {
			return true
		}
		nap(now() + 100*time.Microsecond)
	}
	return false
}

// dht answers when the line, whose resistor pulls it up, is released.
func dht(value, pull line, frames [][]byte, stop func() bool) {
	const us = time.Microsecond
	first()
	pull.drive(true)
	for await(value, false, 300*us, stop) && release(value, pull, stop) && listening(stop) {
		frame := take(&frames)
		if len(frame) == 0 {
			continue
		}
		at := now() + 1000*us
		pulse := func(low, high time.Duration) {
			spin(at)
			pull.drive(false)
			at = spin(at + low)
			pull.drive(true)
			at += high
		}
		pulse(80*us, 80*us)
		for _, b := range frame {
			for mask := byte(0x80); mask > 0; mask >>= 1 {
				if b&mask != 0 {
					pulse(50*us, 70*us)
				} else {
					pulse(50*us, 26*us)
				}
			}
		}
		pulse(50*us, 0)
	}
}
