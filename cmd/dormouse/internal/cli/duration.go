package cli

import (
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/daemon/duration"
)

// Duration makes f take a duration as the configuration does: 90s, 1h30m, 2d.
func Duration(f *kingpin.FlagClause) *time.Duration {
	v := new(durationValue)
	f.SetValue(v)
	return (*time.Duration)(v)
}

type durationValue time.Duration

func (v *durationValue) String() string { return duration.Format(time.Duration(*v)) }

func (v *durationValue) Set(text string) error {
	parsed, err := duration.Parse(text)
	*v = durationValue(parsed)
	return err
}
