package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"time"

	"example.org/dormouse/sensors"
)

// mostJitter bounds the jitter of a cron expression, which has no interval.
const mostJitter = 24 * time.Hour

// machineIDPattern is machine-id(5); while a machine boots for the first time
// the file may hold "uninitialized".
var machineIDPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// jitter moves a sensor's times by the machine's own amount.
func (l *loader) jitter(c *Sensor, s *stanza, set setting) {
	most := c.Schedule.Jitter
	complain := func(format string, args ...any) {
		l.complain(set.origin, s.subject(), "jitter", fmt.Errorf(format, args...))
	}
	switch {
	case most == 0:
		return
	case c.Schedule.At == nil && most >= c.Schedule.Every:
		complain("%s isn't less than every, %s", sensors.FormatDuration(most), sensors.FormatDuration(c.Schedule.Every))
		return
	case c.Schedule.At != nil && most > mostJitter:
		complain("%s is more than %s, which is the most with at", sensors.FormatDuration(most), sensors.FormatDuration(mostJitter))
		return
	}
	machine := strings.TrimSpace(l.src.MachineID)
	if !machineIDPattern.MatchString(machine) {
		machine = l.src.HostName
		if machine == "" {
			complain("/etc/machine-id holds no id and the machine has no name, so nothing tells it from others: make an id with systemd-machine-id-setup, or dbus-uuidgen --ensure=/etc/machine-id")
			return
		}
		if !l.byHostName {
			l.byHostName = true
			l.cfg.Warnings = append(l.cfg.Warnings, &Problem{set.origin, s.subject(), "jitter", fmt.Errorf("goes by the host name, %s, because /etc/machine-id holds no id: machines of one name act in the same second", printable(machine))})
		}
	}
	c.Schedule.Moved = moved(machine, most)
}

// moved is the amount, in whole milliseconds, of at least 0 and less than
// most. It depends on nothing else, so that it is the same at each start, and
// on no sensor's name, so that a machine's sensors stay together. It is a
// remainder, not a fraction: of two jitters of which one is a multiple of the
// other, the amounts differ by a multiple too, and grids that would share
// points share some still.
//
// machine-id(5) asks that the id itself be kept from others, and that what is
// derived from it be made by a keyed hash.
func moved(machine string, most time.Duration) time.Duration {
	mac := hmac.New(sha256.New, []byte(machine))
	mac.Write([]byte("dormouse jitter"))
	steps := (most + time.Millisecond - 1) / time.Millisecond
	return time.Duration(binary.BigEndian.Uint64(mac.Sum(nil))%uint64(steps)) * time.Millisecond
}
