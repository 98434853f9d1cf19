package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSupervisorIsGone(t *testing.T) {
	n := notifier{active: true}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := n.send("READY=1"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
}

func TestListenDescriptors(t *testing.T) {
	self := fmt.Sprint(os.Getpid())
	for _, tt := range []struct {
		pid, fds string
		want     []int
	}{
		{self, "2", []int{3, 4}}, {self, "0", nil}, {self, "-1", nil}, {self, "x", nil}, {self, "99999", nil}, {"1", "2", nil}, {"", "", nil},
	} {
		got := listenDescriptors(func(key string) string { return map[string]string{"LISTEN_PID": tt.pid, "LISTEN_FDS": tt.fds}[key] })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
