package web

import "net"

// Reachable is an address that a browser on this machine can open.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// HaveIPv6 tells whether the loopback interface has its IPv6 address.
func HaveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		err = l.Close()
	}
	return err == nil
}
