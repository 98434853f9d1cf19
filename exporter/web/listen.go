package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// Listen listens on TCP addresses, HOST:PORT or :PORT, on all of them or none.
func Listen(addresses []string) ([]net.Listener, error) {
	// No keep-alive probes, which Go would send every 15 s; and plain TCP,
	// not the Multipath TCP that Go prefers for servers.
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	var listeners []net.Listener
	var errs error
	for _, address := range addresses {
		l, err := listen(&config, address)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		listeners = append(listeners, l)
	}
	if errs == nil && len(listeners) == 0 {
		errs = errors.New("no address to listen on: use --web.listen-address=:9367, or --no-web to serve nothing")
	}
	if errs != nil {
		closeAll(listeners)
		return nil, errs
	}
	return listeners, nil
}

// CheckAddress checks the syntax of an address to listen on, and its port. It
// resolves no host name.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	switch {
	case strings.Contains(address, "://"):
		return fmt.Errorf("listen on %q: only TCP is offered: write HOST:PORT or :PORT, without a scheme", address)
	case err != nil:
		return fmt.Errorf("listen on %q: %w: write HOST:PORT or :PORT, as in :9367, 127.0.0.1:9367 or [::1]:9367", address, err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("listen on %q: there is no port %q: write HOST:PORT or :PORT with a number up to 65535, as in :9367", address, port)
	}
	return nil
}

func listen(config *net.ListenConfig, address string) (net.Listener, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	l, err := config.Listen(context.Background(), "tcp", address)
	if err == nil {
		return l, nil
	}
	hint := ""
	var dns *net.DNSError
	var addr *net.AddrError
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = fmt.Sprintf(": another process has that port (\"ss -ltnp sport = :%s\" shows which): stop it, or choose another with --web.listen-address", port)
	case errors.Is(err, unix.EACCES):
		hint = ": ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a higher one with --web.listen-address"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": this machine doesn't have that address (yet): listen on all addresses with :" + port + ", or start after the network is up"
	case errors.As(err, &dns), errors.As(err, &addr):
		hint = ": write HOST:PORT or :PORT, as in :9367, 127.0.0.1:9367 or [::1]:9367"
	}
	return nil, fmt.Errorf("listen on %q: %w%s", address, err, hint)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nothing was accepted yet
	}
}
