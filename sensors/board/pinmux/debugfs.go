package pinmux

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Lines of the files that the kernel's drivers/pinctrl/pinmux.c and core.c write
// for each pin controller, the second with the words of the driver's
// pin_dbg_show:
//
//	pin 2 (gpio2): 20804000.i2c (GPIO UNCLAIMED) function alt0 group gpio2
//	pin 2 (gpio2) 2:pinctrl-bcm2835 function alt0 in hi; irq 0 (none)
//
// In the first a pin that the pin controller's own node sets up has the mark
// (HOG): no peripheral asked for it.
var (
	claimedLine = regexp.MustCompile(`(?m)^pin (\d+) \([^)]*\): ([^( ]\S*) (?:\([^)]*\)|\S+) function (\S+) group`)
	actualLine  = regexp.MustCompile(`(?m)^pin (\d+) \([^)]*\) .*?\bfunction (\S+)`)
)

// readDebug reads which devices have claimed pins of a chip, and what each pin
// actually is. Whoever may not read that is told nothing.
func (r *Reader) readDebug(label string) (claimed pins, actual map[int]string) {
	dirs, err := filepath.Glob(filepath.Join(r.root, "/sys/kernel/debug/pinctrl/*-"+label))
	if err != nil || len(dirs) != 1 {
		return nil, nil
	}
	claimed, actual = pins{}, map[int]string{}
	each := func(file string, line *regexp.Regexp, use func(offset int, match []string)) {
		data, err := os.ReadFile(filepath.Join(dirs[0], file))
		if err != nil {
			return
		}
		for _, match := range line.FindAllStringSubmatch(string(data), -1) {
			if offset, err := strconv.Atoi(match[1]); err == nil {
				use(offset, match)
			}
		}
	}
	each("pinmux-pins", claimedLine, func(offset int, match []string) {
		if !isLine(match[3]) {
			claimed[offset] = function(offset, match[2], match[3])
		}
	})
	each("pins", actualLine, func(offset int, match []string) { actual[offset] = match[2] })
	return claimed, actual
}
