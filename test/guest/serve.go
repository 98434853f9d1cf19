package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/rig/protocol"
)

// handler answers one method. The answer's body is raw bytes.
type handler func(params json.RawMessage, body []byte) (result any, answer []byte, err error)

// method makes a handler of a function with typed parameters.
func method[P any](f func(p P, body []byte) (any, []byte, error)) handler {
	return func(params json.RawMessage, body []byte) (any, []byte, error) {
		var p P
		if len(params) > 0 {
			if err := json.Unmarshal(params, &p); err != nil {
				return nil, nil, fmt.Errorf("decoding parameters: %w", err)
			}
		}
		return f(p, body)
	}
}

// result and plain make handlers of the two commonest shapes.
func result[P any](f func(P) (any, error)) handler {
	return method(func(p P, _ []byte) (any, []byte, error) {
		v, err := f(p)
		return v, nil, err
	})
}

func plain[P any](f func(P) error) handler {
	return method(func(p P, _ []byte) (any, []byte, error) { return nil, nil, f(p) })
}

// serve answers the rig until it hangs up.
func serve() error {
	if err := modprobe("configfs", ""); err != nil {
		return err
	}
	if err := unix.Mount("configfs", "/sys/kernel/config", "configfs", 0, ""); err != nil {
		return fmt.Errorf("mounting configfs: %w", err)
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	defer port.Close()

	guest := newGuest()
	handlers := guest.handlers()
	var writing sync.Mutex
	answer := func(q protocol.Request, body []byte) {
		response := protocol.Response{ID: q.ID}
		var v any
		var out []byte
		err := fmt.Errorf("the guest knows no method %q", q.Method)
		if h := handlers[q.Method]; h != nil {
			v, out, err = h(q.Params, body)
		}
		if err == nil && v != nil {
			response.Result, err = json.Marshal(v)
		}
		if err != nil {
			response.Error, out = protocol.NewError(err), nil
		}
		writing.Lock()
		defer writing.Unlock()
		if err := protocol.Write(port, response, out); err != nil {
			fmt.Fprintln(os.Stderr, "guest: answering", q.Method+":", err)
		}
	}
	for {
		var q protocol.Request
		body, err := protocol.Read(port, &q)
		if errors.Is(err, io.EOF) {
			return nil // the rig is gone
		}
		if err != nil {
			return err
		}
		if len(body) > 1<<20 {
			answer(q, body)
			body = nil
			debug.FreeOSMemory() // a binary passed through; the machine is small
			continue
		}
		go answer(q, body)
	}
}

// openPort opens what the rig talks over: the serial line that the kernel's
// command line names, else the virtio port.
func openPort() (io.ReadWriteCloser, error) {
	arguments, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	for argument := range strings.FieldsSeq(string(arguments)) {
		if line, ok := strings.CutPrefix(argument, protocol.SerialParameter); ok {
			return openSerial("/dev/" + line)
		}
	}
	for _, module := range []string{"virtio_pci", "virtio_console"} {
		if err := modprobe(module, ""); err != nil {
			return nil, err
		}
	}
	return openVirtio()
}

// openVirtio finds the rig's port by its name: /dev/vportNp1 is numbered. The
// kernel makes it some time after its driver was loaded.
func openVirtio() (port *os.File, err error) {
	err = await("the virtio port "+protocol.PortName, func() (bool, error) {
		names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return false, err
		}
		for _, name := range names {
			p, err := os.ReadFile(name)
			if err != nil {
				return false, err
			}
			if strings.TrimSpace(string(p)) == protocol.PortName {
				port, err = os.OpenFile("/dev/"+filepath.Base(filepath.Dir(name)), os.O_RDWR|unix.O_NOCTTY, 0)
				return err == nil, err
			}
		}
		return false, nil
	})
	return port, err
}
