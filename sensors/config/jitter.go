package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors/internal/document"
)

// mostJitter bounds the jitter of a cron expression, which has no interval.
const mostJitter = 24 * time.Hour

// machineIDPattern is machine-id(5); while a machine boots for the first time
// the file may hold "uninitialized".
var machineIDPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// A machine is what distinguishes this machine from others.
type machine struct {
	id       string // the content of /etc/machine-id
	hostName string
	warned   bool // that only the host name distinguishes it
}

// key is the machine's id, or its host name where it has none.
func (m *machine) key() (key string, byHostName bool, err error) {
	if id := strings.TrimSpace(m.id); machineIDPattern.MatchString(id) {
		return id, false, nil
	}
	if m.hostName == "" {
		return "", false, errors.New("/etc/machine-id contains no id and the machine has no host name, so its jitter can't be computed: create an id with systemd-machine-id-setup, or dbus-uuidgen --ensure=/etc/machine-id")
	}
	return m.hostName, true, nil
}

// jitter moves the sensor's times by the machine's own amount.
func (d *sensorDraft) jitter(s *Schedule) error {
	switch {
	case s.Jitter == 0:
		return nil
	case s.At == nil && s.Jitter >= s.Every:
		return fmt.Errorf("%s isn't less than every, %s", duration.Format(s.Jitter), duration.Format(s.Every))
	case s.At != nil && s.Jitter > mostJitter:
		return fmt.Errorf("%s is more than %s, the maximum with at", duration.Format(s.Jitter), duration.Format(mostJitter))
	}
	key, byHostName, err := d.machine.key()
	if err != nil {
		return err
	}
	if byHostName && !d.machine.warned {
		d.machine.warned = true
		d.warn(d.common["jitter"].Origin, d.stanza.Subject(), "jitter", fmt.Errorf("is computed from the host name, %s, because /etc/machine-id contains no id: machines with the same name read at the same time", document.Printable(key)))
	}
	s.Moved = moved(key, s.Jitter)
	return nil
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
