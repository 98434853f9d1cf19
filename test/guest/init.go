package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts are made in this order; configfs comes with its module, later.
var mounts = []struct{ dir, kind, options string }{
	{"/proc", "proc", ""},
	{"/sys", "sysfs", ""},
	{"/dev", "devtmpfs", ""},
	{"/dev/shm", "tmpfs", ""},
	{"/dev/pts", "devpts", ""},
	{"/tmp", "tmpfs", "mode=1777"},
	{"/run", "tmpfs", "mode=755"},
	{"/sys/kernel/tracing", "tracefs", ""},
	{"/sys/kernel/debug", "debugfs", ""},
}

// initialise is PID 1's work: it prepares the machine, starts the server and
// reaps every process until the server ends. Then the machine goes off.
func initialise() error {
	// Whatever happens the machine goes off, else QEMU would wait for ever.
	defer powerOff()
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("raspberrypi")); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	server := exec.Command("/proc/self/exe")
	server.Env = []string{"PATH=" + guestPath, "HOME=/root"}
	server.Stdout, server.Stderr = os.Stdout, os.Stderr
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("waiting for children: %w", err)
		case pid == server.Process.Pid:
			if status.ExitStatus() != 0 {
				return fmt.Errorf("the server ended with wait status 0x%x", uint32(status))
			}
			return nil
		}
	}
}

func powerOff() {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "guest: powering off:", err)
	}
}

// loopbackUp brings lo up, which is down in a kernel that has just started.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	return nil
}

// modprobe loads a module of the initramfs after those it needs. The rig wrote
// the order: /lib/modules/NAME.dep has one file name per line, the module last.
func modprobe(name, params string) error {
	order, err := os.ReadFile("/lib/modules/" + name + ".dep")
	if err != nil {
		return fmt.Errorf("module %s isn't in the initramfs: %w", name, err)
	}
	files := strings.Fields(string(order))
	for i, file := range files {
		arguments := ""
		if i == len(files)-1 {
			arguments = params
		}
		if err := insmod("/lib/modules/"+file, arguments); err != nil {
			return err
		}
	}
	return nil
}

func insmod(path, params string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), params, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading %s %s: %w", path, params, err)
	}
	return nil
}
