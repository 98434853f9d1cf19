package sensors

import (
	"context"
	"time"
)

// A Run is one run of a program.
type Run struct {
	Began  Instant
	Took   time.Duration
	Status int // exit status, or 128 and the signal
	// Output is what it wrote to its standard output and error, in the order
	// in which it arrived; of a long one the end. Cut is how many bytes before
	// it are gone.
	Output string
	Cut    int64
	// Digest is equal for runs that wrote the same to each of both, in whichever
	// order it arrived; empty where nothing was written.
	Digest string
	Err    error // why the run failed; nil: it didn't
}

// A RunError is a failed run with what the program said about it. Those words
// are the program's own: they are neither a class nor advice.
type RunError struct {
	Err   error
	Words string // the last lines of its standard error, in one
}

func (e *RunError) Error() string { return e.Err.Error() + ": " + e.Words }

// Unwrap returns the failure without the program's words.
func (e *RunError) Unwrap() error { return e.Err }

// Programs is what a driver has besides whose sensors run programs.
type Programs struct {
	// Task tells that a read of the sensor does something, and isn't done to
	// learn something: it is done when it is due or asked for by its name, and
	// not when all sensors are to be read.
	Task func(o *Options) bool
	// Ending is how long a program may take to end when it is asked to.
	Ending func(o *Options) time.Duration
	// Ended is called after each due read, its retries included. What it returns,
	// unless that is nil, is run beside later reads, until its ctx ends.
	Ended func(e Env, outcome Outcome) func(ctx context.Context)
	// Verify finds, and runs nothing for it, what would keep the program from
	// being started by the account. Its error joins everything that it found.
	Verify func(o *Options, by Account) error
}

// An Outcome is what a due read of a program brought.
type Outcome struct {
	Err error // nil: it succeeded
	Run *Run  // the last one; nil: it was never started
	// Changed tells that the read before ended otherwise. Before the first read
	// all is taken to be well.
	Changed bool
	// Repeated tells that it failed with the same output as the last time that
	// it failed, so that there is nothing new to be told.
	Repeated bool
}

// An Account is who runs a program.
type Account struct {
	UID, GID int
	Groups   []int
}
