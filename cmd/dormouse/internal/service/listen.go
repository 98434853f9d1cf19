package service

import (
	"errors"
	"net"

	"example.org/dormouse/daemon"
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
		return nil, ErrNoSocket
	}
	return web.Listen(addresses)
}

// ErrNoSocket is that no supervisor has opened a socket.
var ErrNoSocket = errors.New("--web.systemd-socket: no socket was handed over: enable dormouse.socket, or leave the flag out")
