// Package alarm is the one timer of a process that sleeps: a timerfd on
// CLOCK_BOOTTIME, read through Go's network poller.
//
// A Go timer (time.Sleep, time.After, a context's deadline) wakes the runtime's
// monitor thread besides the poller, several times for each wait; a timerfd
// costs one wake-up each time it fires and none while it waits, however long.
// CLOCK_BOOTTIME goes on counting while the machine is suspended and no step of
// the wall clock moves it (clock_gettime(2), timerfd_create(2)).
//
// Any number of goroutines may wait on one [Clock]: the descriptor is armed for
// the earliest of them, and not at all when nobody waits. Steps of the wall
// clock are reported by [Clock.Jumps]. [NewFake] makes a Clock whose time is
// moved by hand, for tests.
//
// The package plans nothing: intervals, cron expressions and who is due are the
// business of its callers.
package alarm
