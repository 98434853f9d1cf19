package cli

import (
	"errors"
	"fmt"
	"strconv"
)

// Octal is a file creation mask as the value of a flag. It is written as one:
// 022 is not twenty-two.
type Octal uint32

// Set parses an octal number from 0 to 777.
func (o *Octal) Set(text string) error {
	v, err := strconv.ParseUint(text, 8, 32)
	if err != nil || v > 0o777 {
		return errors.New("write a file creation mask in octal, as in 022")
	}
	*o = Octal(v)
	return nil
}

func (o *Octal) String() string { return fmt.Sprintf("%03o", uint32(*o)) }
