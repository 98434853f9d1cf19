package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
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

// CheckListen tells whether Listen could succeed once those who listen on the
// addresses held, as net.Addr has them, have ended. It doesn't stay. With
// unprivileged, whoever is to listen has fewer rights than this process: neither
// root's nor CAP_NET_BIND_SERVICE.
func CheckListen(addresses, held []string, unprivileged bool) error {
	var errs []error
	var open []net.Listener // until all are checked, as one may exclude another
	for _, address := range addresses {
		l, err := Listen([]string{address})
		switch {
		case err == nil:
			open = append(open, l...)
		case errors.Is(err, unix.EADDRINUSE) && overlaps(address, held):
			err = nil
		}
		if err == nil && unprivileged && privileged(address) {
			err = explain(address, unix.EACCES)
		}
		errs = append(errs, err)
	}
	closeAll(open)
	return errors.Join(errs...)
}

// overlaps tells whether one of the addresses held keeps the address from being
// listened on.
func overlaps(address string, held []string) bool {
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(held, func(h string) bool {
		other, err := net.ResolveTCPAddr("tcp", h)
		all := func(a *net.TCPAddr) bool { return a.IP == nil || a.IP.IsUnspecified() }
		return err == nil && other.Port == want.Port && (all(want) || all(other) || other.IP.Equal(want.IP))
	})
}

// privileged tells whether only root may listen on the port; ip(7),
// ip_unprivileged_port_start.
func privileged(address string) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	first := 1024
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			first = n
		}
	}
	return a.Port > 0 && a.Port < first
}

func listen(config *net.ListenConfig, address string) (net.Listener, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, explain(address, err)
	}
	return l, nil
}

// explain says what to do about an address that can't be listened on.
func explain(address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
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
	return fmt.Errorf("listen on %q: %w%s", address, err, hint)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nothing was accepted yet
	}
}
