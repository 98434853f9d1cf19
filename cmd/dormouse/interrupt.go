package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal's context ends at a signal that would end the process, so that
// supplies are switched off and programs are ended before it. What the process was
// started to ignore, as by nohup(1), it goes on ignoring.
func untilSignal() (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signal.NotifyContext(context.Background(), signals...)
}

// interrupted is the error of what was under way when the context of untilSignal
// ended.
func interrupted(ctx context.Context, what string) error {
	return fmt.Errorf("%s was interrupted (%w): run the command again, and let it end", what, context.Cause(ctx))
}
