package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

const (
	// lookAgain is how often it is looked whether the session is empty, while a
	// program is being ended.
	lookAgain = 20 * time.Millisecond
	// killTries is how often a session is killed: a process may be started
	// while it is looked for.
	killTries = 50
)

// end asks the program and all of its session to end, and kills what is left
// after killAfter.
func (x *execution) end(why error) {
	after := x.env.Now().Sub(x.ran.began)
	select {
	case err := <-x.exit: // at the same moment
		if !x.exited(err) {
			return
		}
	default:
		x.over = x.over || isZombie(x.pid) // what watches it hasn't said so yet
	}
	over := x.over
	strays := outsiders(x.pid) // while it is known who started whom
	asked := x.env.Now()
	signalSession(x.pid, syscall.SIGTERM)
	by := syscall.SIGTERM
	if !x.emptied(asked.Add(x.killAfter)) {
		by = syscall.SIGKILL
		x.kill()
	}
	for _, h := range x.holders() {
		if !slices.Contains(strays, h) {
			strays = append(strays, h)
		}
	}
	x.closePipes() // a process that left the session may hold the other ends
	for ; x.reading > 0; x.reading-- {
		<-x.read
	}
	ending := x.env.Now().Sub(asked)
	x.report(why, by, ending, strays)
	x.ran.ended = x.reason(why, over, after, by, ending, strays)
}

// emptied waits until nobody of the session is left and its output is closed,
// and says whether that was so in time. Who else holds the output isn't waited
// for, once what the session wrote has had time to be read.
func (x *execution) emptied(until sensors.Instant) bool {
	empty := 0 // times in a row
	for {
		if x.over && !sessionAlive(x.pid) {
			if empty++; x.reading == 0 || empty > 2 {
				return true
			}
		}
		left := until.Sub(x.env.Now())
		if left <= 0 {
			return false
		}
		tick := make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			_ = x.env.Sleep(ctx, min(left, lookAgain)) // cancelled, it is of no interest
			close(tick)
		}()
		select {
		case <-tick:
		case err := <-x.read:
			_ = x.readerEnded(err) // it is being ended already
		case err := <-x.exit:
			x.over = true
			if err != nil { // somebody else reaped it
				x.ran.ended = sensors.Errorf(sensors.IO, "wait for %s: %w", x.cmd.Path, err)
			}
		}
		cancel()
		<-tick
	}
}

// kill ends the session at once, and waits for the program itself.
func (x *execution) kill() {
	for range killTries {
		signalSession(x.pid, syscall.SIGKILL)
		if !sessionAlive(x.pid) {
			break
		}
		if x.env.Sleep(context.Background(), lookAgain) != nil {
			break // the daemon's clock is closed: it ends
		}
	}
	if !x.over {
		<-x.exit
		x.over = true
	}
}

// report logs how it was ended, which its error tells only where that is kept.
func (x *execution) report(why error, by syscall.Signal, ending time.Duration, strays []string) {
	x.env.Log().Info("the program was ended", "program", x.cmd.Path, "because", cause(why), "by", signalName(by), "after", duration.Format(ending.Round(time.Millisecond)))
	if len(strays) > 0 {
		x.env.Log().Warn("processes have left the program's session and were not ended", "program", x.cmd.Path, "processes", strings.Join(strays, ", "))
	}
}

func cause(why error) string {
	switch {
	case errors.Is(why, context.DeadlineExceeded):
		return "its time was up"
	case why == context.Canceled: // without anything that says more
		return "the daemon stops"
	}
	return why.Error()
}

func signalName(s syscall.Signal) string {
	if s == syscall.SIGKILL {
		return "SIGKILL"
	}
	return "SIGTERM"
}

// reason says why and how a program was ended.
func (x *execution) reason(why error, over bool, after time.Duration, by syscall.Signal, ending time.Duration, strays []string) error {
	if x.ran.ended != nil {
		return x.ran.ended
	}
	how := "was ended with all of its session by SIGTERM"
	if by == syscall.SIGKILL {
		how = fmt.Sprintf("was killed with all of its session, %s after SIGTERM", duration.Format(ending.Round(100*time.Millisecond)))
	}
	if len(strays) > 0 {
		how += fmt.Sprintf("; %s left the session and may still run", strings.Join(strays, ", "))
	}
	text := duration.Format(after.Round(time.Millisecond))
	switch {
	case errors.Is(why, context.Canceled):
		return fmt.Errorf("%s %s after %s: %w", x.cmd.Path, how, text, why)
	case !errors.Is(why, context.DeadlineExceeded):
		return fmt.Errorf("%w; it %s", why, how)
	case over:
		return sensors.Errorf(sensors.Timeout, "%s ended, but what it started held its output open for %s and %s; end that too, or give it another output: %w", x.cmd.Path, text, how, why)
	}
	return sensors.Errorf(sensors.Timeout, "%s still ran after %s and %s; if it needs longer raise timeout: %w", x.cmd.Path, text, how, why)
}
