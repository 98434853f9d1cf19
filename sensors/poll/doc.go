// Package poll runs the wakes: it decides which sensors are due, raises their
// rails, reads them, checks, calibrates and filters what they report, switches
// the rails off, and publishes the result as an immutable Snapshot.
//
// # When a sensor is due
//
// A sensor with "every" is due at the points of a grid that begins when the
// machine boots, shifted by "phase" and by the machine's part of "jitter". The
// grid does not depend on when a read began or ended, so it does not drift, and
// sensors with the same interval share their wakes. A wake at the time t reads
// every sensor whose next point is before t plus its slack, which is a tenth of
// "every" and at most 30 s; the points up to there are then served. Waking as
// late as the most urgent sensor permits, and reading everything that may be
// read then, takes the fewest wakes possible with such windows. A tenth keeps
// the distance between two readings even enough for rates; 30 s is half of the
// shortest scrape interval in common use. Points that pass while the machine is
// stopped, suspended or busy are served by one read, never by a burst.
//
// All sensors with "every" are read once at the start. One with "at" is read at
// its time only, and has no series before. Its cron expression is in local
// time: see config.Cron for daylight saving time. When the wall clock is stepped
// over a planned time, the sensor is read at once, and once; when it is stepped
// back by up to three hours, what was read is not read again. Jitter is a delay
// after the time on the calendar, and that time is what is remembered as
// served: a reload with another jitter neither repeats nor loses it. Nothing
// with "at" is read until the wall clock is plausible.
//
// # Fault isolation
//
// One goroutine, the loop, keeps the schedule and sleeps on the alarm's one
// timer. Each due read runs in a goroutine of its own, and each attempt has a
// deadline; a read that can't be cancelled (a transaction that hangs in the
// kernel) is left behind, with its sensor down until it returns. Sensors on one
// chip are read one after another, and a sensor that refers to another is read
// after that one. A long read does not delay the others: after some seconds the
// wake is published without it.
//
// The package knows no chip and opens no wire itself: that is what drivers and
// sensors/board are for. It renders nothing: that is what the exporter is for.
package poll
