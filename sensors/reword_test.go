package sensors

// Reword puts other words in the place of all that describe a wire, until
// restore is called.
func Reword(f func(string) string) (restore func()) {
	var before []wire
	for _, w := range wires {
		before = append(before, *w)
		was := *w
		w.noun = f(was.noun)
		w.words = func(c Claim) string { return f(was.words(c)) }
		if was.medium != nil {
			w.medium = func(c Claim) string { return f(was.medium(c)) }
		}
	}
	wiring := map[*Driver]string{}
	for _, d := range drivers {
		wiring[d] = d.Wiring
		d.Wiring = f(d.Wiring)
	}
	return func() {
		for i, w := range wires {
			*w = before[i]
		}
		for d, text := range wiring {
			d.Wiring = text
		}
	}
}

func init() {
	Register(fake("converter", Driver{Options: SPIOpts(), Measures: []*Quantity{Voltage}}))
	Register(fake("dust", Driver{Options: []Option{PortOpt()}, Measures: []*Quantity{Humidity}}))
}
