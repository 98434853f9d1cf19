package poll

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/internal/order"
)

// set is the sensors of one configuration.
type set struct {
	config  *config.Config
	sensors []*sensor // in the order of the configuration
	byName  map[string]*sensor
}

// A chip is read by one sensor at a time.
type chip struct {
	claim sensors.Claim
	last  *sensor // to be read, or being read; nil: none
}

// newSet makes the sensors of a configuration. What lives on of the present
// ones is taken over by install.
func newSet(cfg *config.Config, log *slog.Logger) (*set, error) {
	next := &set{config: cfg, byName: make(map[string]*sensor, len(cfg.Sensors))}
	var errs []error
	for _, one := range cfg.Sensors {
		s, err := newSensor(one, log)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: sensor %s: %w", one.Origin, one.Name, err))
			continue
		}
		next.sensors = append(next.sensors, s)
		next.byName[one.Name] = s
	}
	return next, errors.Join(errs...)
}

// choose returns the named sensors, or where none is named all that aren't
// tasks.
func (set *set) choose(names []string) ([]*sensor, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(set.sensors), (*sensor).isTask), nil
	}
	chosen := make([]*sensor, len(names))
	for i, name := range names {
		if chosen[i] = set.byName[name]; chosen[i] == nil {
			return nil, fmt.Errorf("there is no sensor %q", name)
		}
	}
	return chosen, nil
}

// order finds which sensors share a chip and which are read after which. A
// reference that closes a cycle is left out: config refuses those.
func (set *set) order() {
	type key struct{ driver, chip string }
	chips := map[key]*chip{}
	for _, s := range set.sensors {
		s.rank, s.after, s.chip = 0, nil, nil
		if claim, ok := s.cfg.Chip(); ok {
			k := key{s.cfg.Driver.Name, claim.Key()}
			if chips[k] == nil {
				chips[k] = &chip{claim: claim}
			}
			s.chip = chips[k]
		}
	}
	for i, s := range order.Of(set.sensors, set.references, nil) {
		s.rank = i + 1
		for _, ref := range set.references(s) {
			if ref.rank > 0 && ref != s {
				s.after = append(s.after, ref)
			}
		}
	}
}

// references are the sensors whose readings s needs.
func (set *set) references(s *sensor) []*sensor {
	var refs []*sensor
	for _, o := range s.cfg.Driver.Options {
		if o.Type != sensors.SensorRefOption {
			continue
		}
		if ref := set.byName[s.cfg.Options.Text(o.Name)]; ref != nil {
			refs = append(refs, ref)
		}
	}
	return refs
}
