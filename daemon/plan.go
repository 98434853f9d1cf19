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
// sealed file in memory, so that it can be as long as a configuration is, leaves
// no file behind, and shows neither in the environment nor in the arguments. Where
// the system has no such files it is one without a name.
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
// started it: "leader:3:1234". It counts only together with a file that nobody
// can change any more and that holds a plan, so setting it by hand, or inheriting
// it, changes nothing.
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
// that Open executed again. ok is false in the command that was typed, which has
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
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if err := checkUnchangeable(fd, &st); err != nil {
		return nil, err
	}
	if st.Size > mostPlan {
		return nil, fmt.Errorf("%d bytes are no plan", st.Size)
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
	f, memoryErr := writeToMemory(data)
	if memoryErr == nil {
		return f, nil
	}
	if errors.Is(memoryErr, unix.EFBIG) { // of no other place either
		return nil, fmt.Errorf("write the plan: %w: raise the limit of the size of files (ulimit -f)", memoryErr)
	}
	f, err = writeUnnamed(data)
	if err != nil {
		return nil, fmt.Errorf("write the plan: %w", errors.Join(memoryErr, err))
	}
	return f, nil
}

// mostPlan is more than any configuration takes.
const mostPlan = 1 << 28

// checkUnchangeable holds that nobody can change the file: it is sealed, or it is
// this user's or root's and has no name by which it could be opened again.
func checkUnchangeable(fd int, st *unix.Stat_t) error {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	switch {
	case err == nil && seals&planSeals == planSeals:
		return nil
	case err == nil && seals&unix.F_SEAL_SEAL == 0: // a file in memory, which could be sealed
		return errors.New("not sealed")
	case st.Mode&unix.S_IFMT != unix.S_IFREG, st.Nlink != 0, st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return errors.New("neither sealed nor without a name")
	}
	return nil
}

func writeToMemory(data []byte) (*os.File, error) {
	f, err := memfd("daemon-plan", unix.MFD_NOEXEC_SEAL)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(data); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, planSeals)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unnamedDirectories are where files without a name can be made, in memory first.
var unnamedDirectories = []string{"/dev/shm", "/run", "/tmp", "/var/tmp"}

func writeUnnamed(data []byte) (*os.File, error) {
	var errs []error
	for _, dir := range unnamedDirectories {
		fd, err := openRetry(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o400)
		if err != nil {
			errs = append(errs, &os.PathError{Op: "make an unnamed file in", Path: dir, Err: err})
			continue
		}
		f := os.NewFile(uintptr(fd), "daemon-plan")
		if _, err = f.Write(data); err == nil {
			return f, nil
		}
		errs = append(errs, err, f.Close())
	}
	return nil, errors.Join(errs...)
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
