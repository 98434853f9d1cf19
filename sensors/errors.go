package sensors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// Reason is the class of a failed read: the label "reason" of
// dormouse_sensor_read_errors_total.
type Reason string

const (
	NoAnswer   Reason = "no_answer" // no device answers at that address or on that line
	Timeout    Reason = "timeout"   // the deadline passed
	Checksum   Reason = "checksum"  // the bytes are not what was sent
	OutOfRange Reason = "range"     // an implausible value
	NotReady   Reason = "not_ready" // the chip has no result yet
	Identity   Reason = "identity"  // another chip answers, or the bus is stuck
	Busy       Reason = "busy"      // another process holds the wire
	IO         Reason = "io"        // any other error of the transfer
	Command    Reason = "command"   // a program failed
)

// Reasons lists them all.
var Reasons = []Reason{NoAnswer, Timeout, Checksum, OutOfRange, NotReady, Identity, Busy, IO, Command}

// ofAnyRead are the reasons that a read of any sensor can fail for: its deadline,
// a value that can't be once it is calibrated, and whatever has no class.
var ofAnyRead = []Reason{Timeout, OutOfRange, IO}

// ReasonsOf lists what reads of a sensor with these claims can fail for, in the
// order of Reasons: each is a series of its from the start.
func (d *Driver) ReasonsOf(claims []Claim) []Reason {
	can := slices.Concat(ofAnyRead, d.Reasons)
	for _, c := range claims {
		can = append(can, c.wire().reasons...)
	}
	return slices.DeleteFunc(slices.Clone(Reasons), func(r Reason) bool { return !slices.Contains(can, r) })
}

// Error is a failed read with its class.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of the class r; %w keeps what caused it, errno too.
func Errorf(r Reason, format string, args ...any) error {
	return &Error{Reason: r, Err: fmt.Errorf(format, args...)}
}

// ErrStuck is part of the error of a read that gave only zeros or ones where
// this chip can't, on a bus that nobody else has shown to work.
var ErrStuck = errors.New("the bus is stuck")

// ReasonOf returns the class of err: the one it was made with, else what its
// errno says. The errnos for "no answer" are EREMOTEIO (i2c-bcm2835, the
// Pi 5's designware) and ENXIO (i2c-gpio and others); see the kernel's
// Documentation/i2c/fault-codes.rst.
func ReasonOf(err error) Reason {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Reason
	case errors.Is(err, syscall.EREMOTEIO), errors.Is(err, syscall.ENXIO):
		return NoAnswer
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return Timeout
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EAGAIN):
		return Busy
	}
	return IO
}
