package config

import (
	"reflect"
	"slices"
)

// Same tells whether nothing but the place in the file differs, the rail's own
// keys apart.
func (c *Sensor) Same(other *Sensor) bool {
	x, y := *c, *other
	x.Origin, y.Origin = Origin{}, Origin{}
	x.Driver, y.Driver, x.Options, y.Options, x.Rail, y.Rail = nil, nil, nil, nil, nil, nil
	return c.SameDevice(other) && reflect.DeepEqual(x, y)
}

// SameDevice tells whether other is the same sensor at the same place with the
// same options and supply, so that one that holds a line, or counts, may live
// on through a reload. Schedule, labels and processing may differ.
func (c *Sensor) SameDevice(other *Sensor) bool {
	return c.SamePlace(other) && c.Options.Equal(other.Options)
}

// SamePlace is SameDevice without its options.
func (c *Sensor) SamePlace(other *Sensor) bool {
	sameRail := c.Rail == nil && other.Rail == nil ||
		c.Rail != nil && other.Rail != nil &&
			c.Rail.Line.Key() == other.Rail.Line.Key() && c.Rail.ActiveLow == other.Rail.ActiveLow
	return c.Name == other.Name && c.Driver.Name == other.Driver.Name && sameRail
}

// SameRails tells whether nothing but the places in the file differ.
func SameRails(a, b []*Rail) bool {
	return slices.EqualFunc(a, b, func(a, b *Rail) bool {
		x, y := *a, *b
		x.Origin, y.Origin = Origin{}, Origin{}
		return reflect.DeepEqual(x, y)
	})
}
