package alarm

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// withoutCapability runs f in a thread that may not set alarms which wake the
// machine. The thread isn't used again.
func withoutCapability(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		if err == nil {
			data[unix.CAP_WAKE_ALARM/32].Effective &^= 1 << (unix.CAP_WAKE_ALARM % 32)
			err = unix.Capset(&header, &data[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWakingNeedsACapability(t *testing.T) {
	withoutCapability(t, func() {
		c, err := NewWaking()
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("got %v, %v; want EPERM", c, err)
		}
	})
}
