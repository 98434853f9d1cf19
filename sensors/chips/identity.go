package chips

import (
	"context"
	"fmt"
	"strings"

	"example.org/dormouse/sensors"
)

// identify asks what the chip is, for New or for a probe.
func (s *engine) identify(ctx context.Context, probe bool) error {
	s.part, s.serial = s.chip.part, ""
	s.known = s.known[:0]
	for i := range s.chip.identity {
		id := &s.chip.identity[i]
		if probe && id.elective || !probe && id.probe {
			continue
		}
		o := s.compileStep(&id.step, nil)
		data, err := s.fetch(ctx, &o)
		if err != nil {
			if id.elective && sensors.ReasonOf(err) != sensors.IO && ctx.Err() == nil {
				continue
			}
			return fmt.Errorf("%s: %w", o.label, err)
		}
		s.known = append(s.known, append([]byte(nil), s.raw(&o)...))
		if err := s.match(id, o.label, data); err != nil {
			return err
		}
	}
	return nil
}

// match holds an answer against the contents that the family has.
func (s *engine) match(id *identity, label string, data []byte) error {
	v := number(data)
	if id.mask != 0 {
		v &= id.mask
	}
	for _, p := range id.is {
		if v == p.value {
			if p.name != "" {
				s.part = p.name
			}
			return nil
		}
	}
	switch other, ok := id.looks[v]; {
	case id.serial && !stuck(data):
		if !id.unnumbered {
			s.serial += fmt.Sprintf("%x", data)
		}
		return nil
	case id.elective:
		return nil
	case stuck(data):
		return s.errStuck(label, number(data))
	case ok:
		return sensors.Errorf(sensors.Identity, "%s reads 0x%0*x: it looks like %s, which driver %s doesn't read", label, 2*len(data), v, other, s.family.name)
	}
	return sensors.Errorf(sensors.Identity, "%s reads 0x%0*x, which no %s has: check the address", label, 2*len(data), v, s.parts())
}

// parts names what the driver reads.
func (s *engine) parts() string {
	if s.chip.part != "" {
		return s.chip.part
	}
	return strings.ToUpper(s.family.name)
}

// recognise asks the identity again after a measurement, where nothing that
// was set and no checksum proves that the bus wasn't stuck.
func (s *engine) recognise(ctx context.Context, p *program) error {
	id := p.proof
	if id == nil {
		return nil
	}
	data, err := s.fetch(ctx, &p.asked)
	if err != nil {
		return fmt.Errorf("%s: %w", p.asked.label, err)
	}
	return s.match(id, p.asked.label, data)
}
