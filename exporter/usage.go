package exporter

import (
	"bytes"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"example.org/dormouse/sensors"
)

// usage is the kernel's account of this process at one moment.
type usage struct {
	cpu                    time.Duration // user and system
	voluntary, involuntary uint64        // context switches
	resident               uint64        // bytes in memory; 0: unknown
}

// process measures the process it is part of.
type process struct {
	page    uint64
	started sensors.Instant // zero: unknown
}

func newProcess() *process {
	return &process{page: uint64(os.Getpagesize()), started: startOf("/proc/self/stat")}
}

// usage reads the kernel's counters. getrusage(2) sums over all threads, those
// that have ended included, so unlike a sum over /proc/self/task it can't
// count backwards. The calls are raw: an ordinary one tells the runtime that
// it may block, which wakes its monitor thread.
func (p *process) usage() usage {
	u := usage{resident: p.resident()}
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err == nil {
		u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
		u.voluntary, u.involuntary = uint64(r.Nvcsw), uint64(r.Nivcsw)
	}
	return u
}

// resident is the second field of /proc/self/statm, in pages; see proc(5).
func (p *process) resident() uint64 {
	var buf [128]byte
	n := readRaw(statm, buf[:])
	fields := bytes.IndexByte(buf[:n], ' ')
	if fields < 0 {
		return 0
	}
	var pages uint64
	for _, c := range buf[fields+1 : n] {
		if c < '0' || c > '9' {
			break
		}
		pages = pages*10 + uint64(c-'0')
	}
	return pages * p.page
}

// clockTicks is USER_HZ, the unit of the times in /proc/PID/stat: 100 on every
// architecture that Linux runs on a Raspberry Pi or a PC with; see time(7).
const clockTicks = 100

// startOf reads field 22 of a stat file: the start of the process in clock
// ticks since boot, suspend included; see proc_pid_stat(5).
func startOf(path string) sensors.Instant {
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0 // no /proc: the page has no start time
	}
	// The name, field 2, is in parentheses and may hold anything.
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) < 20 {
		return 0
	}
	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return 0
	}
	return sensors.Instant(ticks * int64(time.Second/clockTicks))
}

var statm = []byte("/proc/self/statm\x00")

// readRaw reads the beginning of a file of /proc, which never blocks, and
// returns how much it got; a file that can't be read is empty.
func readRaw(path []byte, buf []byte) int {
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&path[0])),
		unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
