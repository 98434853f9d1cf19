package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// plan is what the starter decided, for the runs that follow. It travels in a
// sealed memfd, so that it can be as long as a configuration is, leaves no file
// behind, and shows neither in the environment nor in the arguments.
type plan struct {
	Magic     string
	Situation Situation
	Detached  bool
	Name      string

	Chroot      string
	Directory   string
	PreventCore bool
	// Become is nil where the process already is who it is to be.
	Become *identity

	Signals map[syscall.Signal]Event

	PIDFile   string
	Files     files
	Explain   bool
	Private   []string // names of variables that children don't get
	Warnings  []string
	Copied    string // where the executable was copied to; empty: it wasn't
	Handover  []byte
	Listeners int // sockets from systemd
}

// files are descriptors by number in the process that reads the plan; 0: none.
type files struct {
	Plan, Report, PIDFile, Lock int
	Preserved                   []int
	Names                       []string
}

func (f files) all() []int {
	var fds []int
	for _, fd := range append([]int{f.Plan, f.Report, f.PIDFile, f.Lock}, f.Preserved...) {
		if fd != 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

const planMagic = "daemon plan 1"

// stageVariable tells a run which one it is, the descriptor of its plan and who
// started it: "leader:3:1234". It counts only together with a sealed memfd that
// holds a plan, so setting it by hand, or inheriting it, changes nothing.
const stageVariable = "DAEMON_STAGE"

// The stages that are told by the variable.
const (
	stageLeader = "leader"
	stageDaemon = "daemon"
)

// resumed is the plan this process was started with; nil in a starter.
var resumed *plan

func init() {
	stage, p, err := resume(os.Getenv(stageVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(ExitFailed)
	}
	_ = os.Unsetenv(stageVariable) // fails only for a name that isn't one
	switch stage {
	case stageLeader:
		os.Exit(lead(p))
	case stageDaemon:
		resumed = p
	}
}

// Handover returns the bytes of Context.Handover in the daemon, and in a process
// that Open executed anew. ok is false in the command that was typed, which has
// to find out by itself.
func Handover() (data []byte, ok bool) {
	if resumed == nil {
		return nil, false
	}
	return resumed.Handover, true
}

// stageSetting is the variable for a process that is executed on behalf of the
// starter.
func stageSetting(stage string, fd, starter int) string {
	return fmt.Sprintf("%s=%s:%d:%d", stageVariable, stage, fd, starter)
}

// resume reads the plan that the stage variable's value tells of. It fails where
// the value is from this process's own starter and the plan can't be read: going
// on as if nothing were set would start a daemon that starts a daemon, and so on.
func resume(value string) (stage string, p *plan, err error) {
	parts := strings.Split(value, ":")
	if len(parts) != 3 || parts[0] != stageLeader && parts[0] != stageDaemon {
		return "", nil, nil
	}
	fd, fdErr := strconv.Atoi(parts[1])
	starter, pidErr := strconv.Atoi(parts[2])
	if fdErr != nil || pidErr != nil || fd < 3 {
		return "", nil, nil
	}
	p, err = readPlan(fd)
	switch {
	case err == nil:
		return parts[0], p, nil
	case starter == os.Getppid() || starter == os.Getpid():
		return "", nil, fmt.Errorf("daemon: take over from process %d, which started this one: plan in descriptor %d: %w", starter, fd, err)
	}
	return "", nil, nil // whoever set the variable, it wasn't a starter
}

const planSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func readPlan(fd int) (*plan, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, err
	}
	if seals&planSeals != planSeals {
		return nil, errors.New("not sealed")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	data := make([]byte, st.Size)
	if n, err := unix.Pread(fd, data, 0); err != nil || n != len(data) {
		return nil, fmt.Errorf("read %d of %d bytes: %w", n, len(data), errors.Join(err, io.ErrUnexpectedEOF))
	}
	var p plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, err
	}
	if p.Magic != planMagic || p.Files.Plan != fd {
		return nil, errors.New("not a plan")
	}
	return &p, nil
}

// write puts the plan into a sealed memfd.
func (p *plan) write() (*os.File, error) {
	p.Magic = planMagic
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the plan: %w", err)
	}
	f, err := memfd("daemon-plan", unix.MFD_NOEXEC_SEAL)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(data); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, planSeals)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the plan: %w", err), f.Close())
	}
	return f, nil
}

// memfd makes a file in memory that can be sealed. flags may hold one of the
// flags for executability, which Linux before 6.3 doesn't know.
func memfd(name string, flags int) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flags)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
