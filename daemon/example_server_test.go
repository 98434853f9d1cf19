package daemon_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.org/dormouse/daemon"
)

// A server on a socket that systemd opened, or else on one of its own:
//
//	# hello.socket           # hello.service
//	[Socket]                 [Service]
//	ListenStream=8080        Type=notify
//	[Install]                ExecStart=/usr/local/bin/hello start
//	WantedBy=sockets.target
//
// "hello start" detaches when a person types it, and stays where systemd does.
func Example_server() {
	pidFile := filepath.Join(os.TempDir(), fmt.Sprintf("hello-%d.pid", os.Getuid()))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	args := append(os.Args[1:], "", "")
	var err error
	switch args[0] {
	case "start":
		err = serve(pidFile, cmp.Or(args[1], "127.0.0.1:8080"))
	case "stop":
		_, err = daemon.Stop(ctx, pidFile)
	default:
		err = daemon.WithExitCode(errors.New("usage: hello start [ADDRESS] | stop"), daemon.ExitUsage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(daemon.ExitCode(err))
	}
}

func serve(pidFile, address string) error {
	c := daemon.New("hello")
	c.PIDFile = pidFile
	p, err := c.Open()
	if err != nil {
		return err
	}
	if p.Starter() {
		fmt.Println("hello runs as process", p.PID())
		return nil
	}
	listeners, err := p.Listeners() // from systemd, or from inetd
	if err == nil && len(listeners) == 0 {
		var own net.Listener
		own, err = net.Listen("tcp", address)
		listeners = []net.Listener{own}
	}
	if err != nil {
		return p.Fail(err) // "hello start" prints it, and its exit status tells
	}
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintln(w, "hello") // a client that is gone misses nothing
		}),
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- server.Serve(l) }()
	}
	// The sockets listen, so whoever waits for the start may connect.
	if err := p.Ready("serving"); err != nil {
		return err
	}
	for {
		select {
		case err := <-failed:
			return errors.Join(err, p.Close())
		case event := <-p.Events():
			if event == daemon.Terminate {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				return errors.Join(p.Stopping(), server.Shutdown(ctx), p.Close())
			}
		}
	}
}
