package board

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// setLineConfig is GPIO_V2_LINE_SET_CONFIG_IOCTL of linux/gpio.h:
// _IOWR(0xB4, 0x0D, struct gpio_v2_line_config), the 272 bytes of
// unix.GPIOV2LineConfig.
const setLineConfig = 0xc110b40d

// Reconfigure changes direction and edges in one call on the line's own
// descriptor. The line is never free in between, as it would be for some
// hundred microseconds if it were closed and requested again.
func (l *line) Reconfigure(c sensors.LineConfig) error {
	request, err := lineRequest(l.place.offset, c, "")
	if err != nil {
		return fmt.Errorf("line %s: %w", l.ref, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return l.failed("reconfigure it", os.ErrClosed)
	}
	err = l.kernel.ioctl(uintptr(l.fd), setLineConfig, unsafe.Pointer(&request.Config))
	switch {
	case errors.Is(err, unix.ENODEV):
		return l.failed("reconfigure it", err)
	case err != nil:
		return requestError(l.ref, l.place, err)
	}
	l.output = c.Output
	return nil
}
