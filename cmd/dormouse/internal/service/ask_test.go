package service

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/exporter/control"
	"example.org/dormouse/sensors/config"
)

// Whoever may not ask the daemon reads the sensors that are configured here
// without it, and is told why where there are none, or where a program is named.
func TestWithoutTheRightToAsk(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", unix.EACCES)}
	denied := fmt.Errorf("%w: %w", control.ErrNoDaemon, dial) // as control returns it
	if !errors.Is(denied, fs.ErrPermission) {
		t.Fatal("it isn't told by its errno")
	}
	source := Source{Sensors: []string{"a=thermal"}, Tasks: []string{"b=/bin/true,every=1h"}}
	wrong := func() (*config.Config, error) { return nil, errors.New("line 3") }
	for _, c := range []struct {
		name  string
		load  func() (*config.Config, error)
		names []string
		want  string // empty: the sensors are read without the daemon
	}{
		{"nothing is configured", nil, nil, "/d.sock: permission denied: only root and the daemon's user may ask"},
		{"all sensors", source.Load, nil, ""},
		{"a sensor", source.Load, []string{"a"}, ""},
		{"a task", source.Load, []string{"a", "b"}, "only root and the daemon's user may ask the daemon, and have it run a program"},
		{"a configuration that is wrong", wrong, nil, "line 3"},
	} {
		err := notAsked(denied, "/d.pid", c.load, c.names)
		if errors.Is(err, control.ErrNoDaemon) != (c.want == "") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
