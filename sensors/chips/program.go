package chips

import (
	"cmp"
	"slices"

	"example.org/dormouse/sensors"
)

// A program is the description with one choice of each setting, for one
// channel.
type program struct {
	chip    *chip
	channel *channel
	chosen  map[string]int // the value of each setting by number

	measure phase
	fields  []fieldOp
	auto    kind // of the result that an automatic setting looks at
	// proof is asked again after each measurement; nil where something else
	// tells a stuck bus from a result.
	proof *identity
	asked op
}

// value is the chosen value of a setting.
func (p *program) value(name string) *value {
	for i := range p.chip.settings {
		if st := &p.chip.settings[i]; st.name == name {
			return &st.values[p.chosen[name]]
		}
	}
	return &value{}
}

func (p *program) bitsOf(name string) uint64 {
	if name != "channel" {
		return p.value(name).bits
	}
	if p.channel == nil {
		return 0
	}
	return p.channel.bits
}

// auto is the chip's automatic setting; nil: it has none.
func (c *chip) auto() *auto {
	for i := range c.settings {
		if c.settings[i].auto != nil {
			return c.settings[i].auto
		}
	}
	return nil
}

// compile makes all that a measurement needs, so that it doesn't allocate.
func (s *engine) compile(o *sensors.Options) {
	s.frame = frame{options: o, chip: s.chip}
	s.doubtful, s.agrees = s.chip.doubtful(), s.chip.agrees()
	common := s.program(o, nil, 0)
	s.frame.chosen = common.chosen
	s.release = s.compilePhase(s.chip.release, common)
	s.wake = s.compilePhase(s.chip.wake, common)
	s.prepare = s.compilePhase(s.chip.prepare, common)
	s.constants = s.compilePhase(s.chip.constants, common)
	s.sleep = s.compilePhase(s.chip.sleep, common)
	for _, c := range s.chip.measured(o) {
		in := input{}
		if c != nil {
			in.name = c.name
		}
		for i := range s.chip.ranges(o, in.name) {
			in.ranges = append(in.ranges, *s.program(o, c, i))
		}
		in.values = make([]float64, len(in.ranges[0].fields))
		in.before = make([]float64, len(in.values))
		s.inputs = append(s.inputs, in)
	}
	most := 0
	for _, st := range slices.Concat(s.chip.release, s.chip.wake, s.chip.prepare, s.chip.constants, s.chip.measure, s.chip.sleep) {
		most = max(most, st.result, st.status, len(st.set))
	}
	for i := range s.chip.identity {
		most = max(most, s.chip.identity[i].status)
	}
	s.in, s.data = make([]byte, s.chip.sum.raw(most)), make([]byte, most)
}

func (s *engine) program(o *sensors.Options, c *channel, auto int) *program {
	p := &program{chip: s.chip, channel: c, chosen: map[string]int{}}
	for i := range s.chip.settings {
		st := &s.chip.settings[i]
		name := o.Text(st.name)
		if c != nil && st.channel && o.Given(c.name+"."+st.name) {
			name = o.Text(c.name + "." + st.name)
		}
		p.chosen[st.name] = max(0, slices.IndexFunc(st.values, func(v value) bool { return v.name == name }))
		if st.auto != nil && name == automatic {
			p.chosen[st.name] = auto
			p.auto, _ = parseKind(st.auto.kind)
		}
	}
	p.measure = s.compilePhase(s.chip.measure, p)
	named := o.Channels()
	for i := range s.chip.fields {
		f := compileField(&s.chip.fields[i], p, o)
		f.skip = c == nil && f.label != "" && len(named) > 0 && !slices.Contains(named, f.label)
		p.fields = append(p.fields, f)
	}
	p.markApart()
	if s.chip.sum == nil && !s.chip.proven() {
		if p.proof = s.chip.proof(); p.proof != nil {
			p.asked = s.compileStep(&p.proof.step, p)
		}
	}
	return p
}

// automatic is the choice of a setting that follows the result.
const automatic = "auto"

// ranges tells through how many values the automatic setting may go.
func (c *chip) ranges(o *sensors.Options, channel string) int {
	for i := range c.settings {
		st := &c.settings[i]
		name := o.Text(st.name)
		if st.channel && channel != "" && o.Given(channel+"."+st.name) {
			name = o.Text(channel + "." + st.name)
		}
		if st.auto != nil && name == automatic {
			return len(st.values)
		}
	}
	return 1
}

// measured are the channels that are measured; one nil where there are none.
func (c *chip) measured(o *sensors.Options) []*channel {
	if len(c.channels) == 0 {
		return []*channel{nil}
	}
	named := o.Channels()
	var list []*channel
	for i := range c.channels {
		if ch := &c.channels[i]; slices.Contains(named, ch.name) || len(named) == 0 && !ch.extra {
			list = append(list, ch)
		}
	}
	return list
}

// proven tells whether something that is read with the results, or after them,
// can't be what a bus reads that is stuck at 0, and something what one reads
// that is stuck at 1.
func (c *chip) proven() bool {
	var not0, not1 bool
	is := func(v, mask uint64) {
		not0 = not0 || v&mask != 0
		not1 = not1 || v&mask != mask
	}
	for _, st := range slices.Concat(c.prepare, c.measure) {
		if back := st.readBack(); back != nil {
			is(number(back), cmp.Or(st.mask, allBits(len(back))))
		}
		for _, t := range st.must {
			if st.result > 0 && !t.not {
				is(t.is, cmp.Or(t.mask, allBits(st.result)))
			}
		}
	}
	return not0 && not1
}

// doubtful tells that nothing distinguishes a result from that of a chip that
// was reset, or of a bus that is stuck.
func (c *chip) doubtful() bool { return c.sum == nil && !c.proven() && c.proof() == nil }

// proof is an identity that a stuck bus can't have.
func (c *chip) proof() *identity {
	for i := range c.identity {
		id := &c.identity[i]
		if !id.serial && !id.elective && !slices.ContainsFunc(id.is, func(p part) bool { return p.value == 0 || p.value == allBits(id.status) }) {
			return id
		}
	}
	return nil
}
