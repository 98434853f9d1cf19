package series

import (
	"slices"

	"example.org/dormouse/sensors"
)

// channelLabel is the label that tells the channels of a sensor apart.
const channelLabel = "channel"

// configuredChannels are the names under which the channels that the
// configuration chooses are published.
func (t *Table) configuredChannels() {
	if len(t.cfg.Driver.Channels) == 0 {
		return
	}
	for _, name := range t.cfg.Options.Channels() {
		t.addChannel(t.channelName(name))
	}
}

// channelName is the name under which a channel of the driver is published.
func (t *Table) channelName(of string) string {
	if name := t.cfg.ProcessingOf(of, "").Name; name != "" {
		return name
	}
	return of
}

func (t *Table) addChannel(name string) {
	if name != "" && !slices.Contains(t.channels, name) {
		t.channels = append(t.channels, name)
	}
}

// noteChannels adds the channels that a report is about. The labels of a program
// are its own, and no channels.
func (t *Table) noteChannels(report *sensors.Report) {
	if t.cfg.Driver.Programs != nil {
		return
	}
	for _, r := range report.Readings() {
		if at := slices.Index(r.Quantity.Labels, channelLabel); at >= 0 && at < len(r.Labels) {
			t.addChannel(t.channelName(r.Labels[at]))
		}
	}
	for _, f := range report.Failures() {
		// A failure has no quantity: the channel is its last label.
		if n := len(f.Labels); n > 0 && t.mayHaveChannels() {
			t.addChannel(t.channelName(f.Labels[n-1]))
		}
	}
}

// mayHaveChannels tells whether something that the driver measures has channels,
// as far as that is known before.
func (t *Table) mayHaveChannels() bool {
	d := t.cfg.Driver
	return d.Measures == nil || slices.ContainsFunc(d.Measures, func(q *sensors.Quantity) bool { return slices.Contains(q.Labels, channelLabel) })
}

// Channels tells of each channel whether a reading of it stands after a read that
// was good; none of one that failed. It is nil of a sensor without channels.
func (t *Table) Channels(good bool) []sensors.Channel {
	if len(t.channels) == 0 {
		return nil
	}
	all := make([]sensors.Channel, len(t.channels))
	for i, name := range t.channels {
		all[i].Name = name
	}
	if !good {
		return all
	}
	for _, r := range t.published {
		at := slices.Index(r.Quantity.Labels, channelLabel)
		if at < 0 || at >= len(r.Labels) {
			continue
		}
		if i := slices.Index(t.channels, r.Labels[at]); i >= 0 {
			all[i].Up = true
		}
	}
	return all
}
