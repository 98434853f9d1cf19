package sensors

import "context"

// Firmware asks the firmware of a Raspberry Pi, by one property tag in a message
// to the mailbox's character device. A board's Files may implement it.
type Firmware interface {
	// Property sends the tag with value, which the answer overwrites. The
	// error is of the class no_answer where there is no such device or the
	// firmware doesn't know the tag. The exchange can't be cancelled: when ctx
	// ends first it is left behind, as a read of Files is.
	Property(ctx context.Context, device string, tag uint32, value []uint32) error
}
