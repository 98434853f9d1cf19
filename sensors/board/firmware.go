package board

import (
	"context"
	"slices"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// The mailbox's property interface: the wiki of github.com/raspberrypi/firmware,
// "Mailbox property interface". A message is its size, a code, the tags, and 0;
// a tag is its number, the size of its value, a code, and the value.
const (
	mailboxHeader   = 5 // words before the one tag's value
	mailboxAnswered = 0x80000000

	// IOCTL_MBOX_PROPERTY, _IOWR(100, 0, char *): the size is a pointer's, of
	// the calling program and not of the kernel.
	mailboxProperty = 3<<30 | unsafe.Sizeof(uintptr(0))<<16 | 100<<8
)

// Property is sensors.Firmware's.
func (f *files) Property(ctx context.Context, device string, tag uint32, value []uint32) error {
	size := 4 * (mailboxHeader + len(value) + 1)
	message := append([]uint32{uint32(size), 0, tag, uint32(4 * len(value)), 0}, value...)
	message = append(message, 0)
	return f.access(ctx, "ask", device, func(real string) (func(), error) {
		if err := f.exchange(real, message); err != nil {
			return nil, err
		}
		answer := slices.Clone(message[mailboxHeader : mailboxHeader+len(value)])
		return func() { copy(value, answer) }, answered(message, tag)
	})
}

func (f *files) exchange(real string, message []uint32) error {
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f.ioctl(uintptr(fd), mailboxProperty, unsafe.Pointer(&message[0]))
}

// answered looks whether the firmware took the message and knew the tag: of
// others it says nothing.
func answered(message []uint32, tag uint32) error {
	switch {
	case message[1] != mailboxAnswered:
		return sensors.Errorf(sensors.IO, "the firmware refused the message (code 0x%08x)", message[1])
	case message[2] != tag || message[4]&mailboxAnswered == 0:
		return sensors.Errorf(sensors.NoAnswer, "this firmware doesn't support the tag 0x%08x: update it", tag)
	case message[4]&^mailboxAnswered == 0:
		return sensors.Errorf(sensors.IO, "the firmware's answer to the tag 0x%08x is empty", tag)
	}
	return nil
}

var _ sensors.Firmware = (*files)(nil)
