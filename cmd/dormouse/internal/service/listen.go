package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"

	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/web"
)

// Listen opens the sockets, or takes those that a supervisor opened, which is
// required of --web.systemd-socket.
func Listen(p *daemon.Process, addresses []string, systemdSocket bool) ([]net.Listener, error) {
	given, err := p.Listeners()
	if err != nil {
		return nil, err
	}
	if len(given) > 0 {
		return given, nil
	}
	if systemdSocket {
		return nil, errNoSocket
	}
	return web.Listen(addresses)
}

// errNoSocket is that no supervisor has opened a socket.
var errNoSocket = errors.New("--web.systemd-socket: no socket was handed over: enable dormouse.socket, or leave the flag out")

// CheckListen checks, before the daemon of a pidfile is ended for another, that
// the other can listen: each address has to be free or that daemon's, which tells
// its own.
func CheckListen(ctx context.Context, pidFile string, addresses []string, systemdSocket bool, as string) error {
	if systemdSocket {
		if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
			return errNoSocket
		}
		return nil
	}
	theirs, err := control.Addresses(ctx, pidFile)
	if err != nil && daemon.Status(pidFile).Running() {
		return nil // whose they are can't be told
	}
	if err := web.CheckListen(addresses, theirs, !isRoot(as)); err != nil {
		return fmt.Errorf("--web.listen-address: %w", err)
	}
	return nil
}

// isRoot tells whether a user, empty for whoever starts the daemon, is root.
func isRoot(name string) bool {
	account, err := user.Lookup(name)
	return name == "" || name == "0" || err == nil && account.Uid == "0"
}
