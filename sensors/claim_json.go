package sensors

import (
	"encoding/json"
	"fmt"
	"slices"
)

// claimJSON is a claim as /readings.json has it: what its kind doesn't have is
// absent. Fields are added to it, never changed or removed.
type claimJSON struct {
	Kind    WireKind `json:"kind"`             // "i2c", "spi", "serial", "line", "file" or "program"
	Option  string   `json:"option,omitempty"` // the key that names it; "power": the line of its supply
	Bus     *int     `json:"bus,omitempty"`
	Address string   `json:"address,omitempty"` // "0x76"
	Select  *int     `json:"select,omitempty"`  // chip select
	Line    string   `json:"line,omitempty"`    // "GPIO17", CHIP:OFFSET, or a line's name
	Output  bool     `json:"output,omitempty"`  // a line that is driven
	Held    bool     `json:"held,omitempty"`    // a line that is kept between reads
	Path    string   `json:"path,omitempty"`
	Name    string   `json:"name,omitempty"`
}

// MarshalJSON writes the fields that the claim's kind has.
func (c Claim) MarshalJSON() ([]byte, error) {
	j := claimJSON{Kind: c.Kind, Option: c.Option, Output: c.Output, Held: c.Held, Path: c.Path, Name: c.Name}
	switch w := c.wire(); {
	case w.bus && w.sel:
		j.Bus, j.Select = &c.Bus, &c.Select
	case w.bus:
		j.Bus, j.Address = &c.Bus, c.Address.String()
	}
	if c.Kind == LineWire {
		j.Line = c.Line.Key()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote, by this or another version.
func (c *Claim) UnmarshalJSON(data []byte) error {
	var j claimJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("a claim: %w", err)
	}
	*c = Claim{Kind: j.Kind, Option: j.Option, Output: j.Output, Held: j.Held, Path: j.Path, Name: j.Name}
	if j.Bus != nil {
		c.Bus = *j.Bus
	}
	if j.Select != nil {
		c.Select = *j.Select
	}
	if j.Address != "" {
		a, err := (Option{Type: I2CAddrOption}).Parse(j.Address)
		if err != nil {
			return fmt.Errorf("a claim: %w", err)
		}
		c.Address = a.(Address)
	}
	if j.Line != "" {
		var err error
		if c.Line, err = ParseLine(j.Line); err != nil {
			return fmt.Errorf("a claim: %w", err)
		}
	}
	return nil
}

// SameClaims tells whether both lists are of the same wires, named by the same
// options.
func SameClaims(a, b []Claim) bool {
	return slices.EqualFunc(a, b, func(x, y Claim) bool { return x.Option == y.Option && x.Output == y.Output && x.Key() == y.Key() })
}
