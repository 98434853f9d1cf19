// Package poll is the life between two sleeps: who is due, rails up, sensors
// read, what they reported checked, calibrated and filtered, rails down, and
// an immutable Snapshot of it all published.
//
// # When a sensor is due
//
// A sensor with "every" is due at the points of a grid that begins when the
// machine boots, shifted by "phase" and by what "jitter" makes of the machine's
// id. The grid doesn't depend on when a read began or ended, so nothing drifts,
// and sensors with the same interval share their wakes without being told to. A
// wake at the time t reads every sensor whose next point lies before t plus its
// slack, which is a tenth of "every" and at most 30 s; the points up to there
// are then served. Waking as late as the most urgent sensor permits, and
// reading all that may be read then, takes the fewest wakes that such windows
// permit. A tenth keeps the distance between two readings even enough for
// rates; 30 s is half of the shortest scrape interval that most people use.
// Points that pass while the machine is stopped, suspended or busy are served
// by one read, never by a burst.
//
// All sensors with "every" are read once at the start. One with "at" is read at
// its time only, and has no series before. Its cron expression is meant in
// local time: where summer time skips an hour, what was planned in it is read
// at the end of the gap; where an hour comes twice, it is read once, unless the
// expression's hour begins with "*", which follows the clock as it goes. When
// the wall clock is stepped over a planned time it is read at once, and once;
// when it is stepped back by up to three hours, what was read isn't read again.
// What jitter adds is waited for after the time on the calendar, which is what
// is remembered as served: a reload with another jitter neither repeats nor
// loses it. Until the wall clock is plausible nothing with "at" is read.
//
// # Who harms whom
//
// One goroutine keeps the schedule and sleeps on the alarm's one timer. Each
// due read has a goroutine of its own and each attempt a deadline; a read that
// can't be cancelled (a transaction that hangs in the kernel) is left behind,
// with its sensor down until it returns. Sensors on one chip are read one
// after another, and a sensor that names another after that one. A long read
// doesn't keep the others waiting: after some seconds the wake is published
// without it.
//
// The package knows no chip and opens no wire itself: that is what drivers and
// sensors/board are for. It renders nothing: that is the exporter.
package poll
