package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/output"
	"example.org/dormouse/test/rig/protocol"
)

// Options say what machine to boot. The zero value is a machine of 256 MB with
// one processor.
type Options struct {
	// Kernel is what boots; none is Linux61.
	Kernel Kernel
	// Memory in MB; 96 is the least that boots.
	Memory int
	// Files are put into the initramfs: path in the guest → path on the host.
	// Permission bits are kept. This is the quickest way in for a binary.
	Files map[string]string
	// Append adds to the kernel's command line.
	Append string
	// Suspends boots a kernel that can be suspended to RAM, once: a second
	// suspend ends at once. It takes some seconds longer to boot.
	Suspends bool
	// QEMU adds to QEMU's arguments.
	QEMU []string
}

func (o Options) kernel() Kernel {
	if o.Kernel.Series == "" {
		return Linux61
	}
	return o.Kernel
}

// Machine is a running guest. Its methods may be used by several goroutines.
type Machine struct {
	// Release is the guest kernel's, as uname -r tells.
	Release string
	// BootTime is how long the guest was up when it began to serve.
	BootTime time.Duration

	qemu    *exec.Cmd
	monitor *monitor
	console *output.Buffer // what the guest writes to its serial port
	port    net.Conn
	exited  chan struct{} // closed when QEMU has ended
	dir     string        // of the initramfs and the ACPI table

	writing sync.Mutex // one frame at a time
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan answer
	broken  error // why no answer will come any more
	buses   int   // made so far, of any kind
}

type answer struct {
	response protocol.Response
	body     []byte
}

// Start boots a machine for a test and ends it with the test. When the test
// fails the kernel's log is shown.
func Start(t testing.TB, o Options) *Machine {
	t.Helper()
	m, err := Boot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			log, err := m.KernelLog(ctx)
			if err != nil {
				t.Logf("reading the kernel's log: %v", err)
			}
			t.Logf("console:\n%s\nkernel log:\n%s", tail(m.Console(), 2000), tail(log, 4000))
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// bootPatience is the longest a boot may take, on a host with other things to do.
const bootPatience = 8 * time.Minute

// Boot starts a machine and returns when it serves. The cache is built first
// where there is none, which takes up to a minute.
func Boot(ctx context.Context, o Options) (*Machine, error) {
	im, err := prepare(ctx, o.kernel())
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dormouse-rig-")
	if err != nil {
		return nil, err
	}
	m, err := boot(ctx, o, im, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return m, nil
}

func boot(ctx context.Context, o Options, im image, dir string) (*Machine, error) {
	initrd, err := writeInitrd(dir, im.base, AMD64, o.Files)
	if err != nil {
		return nil, err
	}
	thermal := filepath.Join(dir, "thermal.aml")
	if err := os.WriteFile(thermal, thermalTable(), 0o644); err != nil {
		return nil, err
	}
	port, theirs, err := inherited()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	control, theirControl, err := inherited()
	if err != nil {
		return nil, err
	}
	defer theirControl.Close()
	if o.Memory == 0 {
		o.Memory = 256
	}
	kernel := im.vmlinux
	if o.Suspends {
		kernel = im.bzImage
	}
	qemu := exec.Command("qemu-system-x86_64", append([]string{
		"-accel", "tcg", "-cpu", "max", "-M", "q35", "-m", fmt.Sprint(o.Memory), "-smp", "1",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", kernel, "-initrd", initrd,
		// Without no_timer_check the kernel panics on a busy host: it finds that
		// the timer doesn't tick in time.
		"-append", strings.TrimSpace("console=ttyS0 panic=-1 quiet mitigations=off no_timer_check " + o.Append),
		"-acpitable", "file=" + thermal,
		"-device", "virtio-serial-pci", "-chardev", "socket,id=rig,fd=3",
		"-device", "virtserialport,chardev=rig,name=" + protocol.PortName,
		"-chardev", "socket,id=monitor,fd=4", "-mon", "chardev=monitor,mode=control", "-device", "qemu-xhci,id=" + usbController,
	}, o.QEMU...)...)
	qemu.ExtraFiles = []*os.File{theirs, theirControl}
	m, err := serve(ctx, qemu, port, dir)
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	if m.monitor, err = newMonitor(ctx, control); err != nil {
		return nil, errors.Join(err, control.Close(), m.Close())
	}
	return m, nil
}

// inherited is a connection to QEMU, whose end is inherited as a descriptor: no
// path, no race.
func inherited() (ours net.Conn, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	near, far := os.NewFile(uintptr(pair[0]), "rig"), os.NewFile(uintptr(pair[1]), "qemu")
	defer near.Close() // FileConn makes a copy
	if ours, err = net.FileConn(near); err != nil {
		return nil, nil, errors.Join(err, far.Close())
	}
	return ours, far, nil
}

// serve starts QEMU and returns when the guest serves at the port. The
// directory is removed with the machine.
func serve(ctx context.Context, qemu *exec.Cmd, port net.Conn, dir string) (*Machine, error) {
	m := &Machine{
		qemu: qemu, console: &output.Buffer{}, port: port, dir: dir,
		exited: make(chan struct{}), waiting: map[uint64]chan answer{},
	}
	if s, ok := port.(*serialPort); ok {
		s.console = m.console
	}
	qemu.Stdout, qemu.Stderr = m.console, m.console
	// A test binary that dies takes its machine along.
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := qemu.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting QEMU: %w", err), port.Close())
	}
	go m.receive()
	go m.watch()

	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	hello, _, err := call[protocol.Hello](ctx, m, protocol.MethodHello, nil, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("booting: %w", err), m.Close())
	}
	m.Release, m.BootTime = hello.Release, hello.Uptime
	return m, nil
}

// writeInitrd joins the cached base with the guest's program and the caller's
// files: the kernel unpacks archives that follow each other.
func writeInitrd(dir, base string, a Architecture, files map[string]string) (path string, err error) {
	program, err := guestBinary(a)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "initrd")
	if err := joinInitrd(path, base, program, files); err != nil {
		return "", fmt.Errorf("writing the initramfs: %w", err)
	}
	return path, nil
}

func joinInitrd(path, base string, program []byte, files map[string]string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := os.Open(base)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	archive := newCPIO(buffered)
	archive.File("init", 0o755, program)
	for name, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		archive.File(name, uint32(info.Mode().Perm()), content)
	}
	return errors.Join(archive.Close(), buffered.Flush(), out.Close())
}

// watch waits for QEMU's end and tells those who wait for answers.
func (m *Machine) watch() {
	err := m.qemu.Wait()
	m.fail(fmt.Errorf("the machine has ended (%v); its console said:\n%s", err, tail(m.Console(), 4000)))
	close(m.exited)
}

// receive hands answers to those who wait for them.
func (m *Machine) receive() {
	for {
		var a answer
		var err error
		if a.body, err = protocol.Read(m.port, &a.response); err != nil {
			if s, ok := m.port.(*serialPort); ok {
				s.spill()
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) {
				m.fail(err)
			}
			return // the machine has ended: watch tells why
		}
		m.mu.Lock()
		c := m.waiting[a.response.ID]
		delete(m.waiting, a.response.ID)
		m.mu.Unlock()
		if c != nil {
			c <- a
		}
	}
}

func (m *Machine) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		m.broken = err
	}
	for id, c := range m.waiting {
		close(c)
		delete(m.waiting, id)
	}
}

// Console is what the guest has written to its serial console.
func (m *Machine) Console() string { return m.console.String() }

// Close ends the machine at once, as pulling the plug would: nothing in it is
// worth keeping.
func (m *Machine) Close() error {
	if err := m.qemu.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending QEMU: %w", err)
	}
	<-m.exited
	err := errors.Join(m.port.Close(), os.RemoveAll(m.dir))
	if m.monitor != nil {
		err = errors.Join(err, m.monitor.conn.Close())
	}
	return err
}
