package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inspection is a process held against the points of a well-behaved daemon.
type Inspection struct {
	PID       int       `json:"pid"`
	Name      string    `json:"name"`
	Situation Situation `json:"situation"`
	Document  string    `json:"document"` // that explains the points
	Points    []Point   `json:"points"`
}

// Failed reports whether a point isn't met.
func (i *Inspection) Failed() bool {
	return slices.ContainsFunc(i.Points, func(p Point) bool { return p.Verdict == Fail })
}

// Verdict is the outcome of one point.
type Verdict string

// Noted is for what PEP 3143 leaves to the daemon, Unknown for what this user may
// not see.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Noted   Verdict = "noted"
	Unknown Verdict = "unknown"
)

// Point is one thing that is asked of a daemon, and why, and what was found.
type Point struct {
	Name     string   `json:"name"`
	Verdict  Verdict  `json:"verdict"`
	Why      string   `json:"why"`
	Section  int      `json:"section"` // of the document
	Evidence []string `json:"evidence"`
}

// newPoint is a point that a topic asks for.
func newPoint(topic string, v Verdict, evidence ...string) Point {
	t := topicOf(topic)
	return Point{Name: t.Name, Verdict: v, Why: t.Why, Section: t.Section, Evidence: evidence}
}

// Inspect looks at any running process, by /proc (proc(5)). Another user's, or
// one that forbids core dumps, shows descriptors and files to root only.
func Inspect(pid int) (*Inspection, error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	status, err := readStatus(dir + "/status")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("inspect process %d: there is none: %w", pid, err)
	}
	if err != nil {
		return nil, fmt.Errorf("inspect process %d: %w", pid, err)
	}
	stat, err := readStat(pid)
	if err != nil {
		return nil, fmt.Errorf("inspect process %d: %w", pid, err)
	}
	x := &examination{pid: pid, dir: dir, status: status, stat: stat, pins: map[int][]string{}}
	x.mounts, err = readMounts(dir + "/mountinfo")
	if err != nil {
		x.mounts = nil
	}
	result := &Inspection{PID: pid, Name: status["Name"], Situation: x.situation(), Document: Document}
	for _, check := range []func() Point{
		x.descriptors, x.directory, x.files, x.pinned, x.umask, x.session, x.terminal,
		x.terminalSignals, x.blocked, x.childSignal, x.core, x.privileges,
	} {
		result.Points = append(result.Points, check())
	}
	return result, nil
}

type examination struct {
	pid    int
	dir    string
	status procStatus
	stat   procStat
	mounts map[int]Mount
	pins   map[int][]string // mount → what holds it
	hidden []string         // what this user may not see
}

// situation is a guess from outside: the process's own environment tells, where
// it can be read, else its control group.
func (x *examination) situation() Situation {
	if x.pid == 1 {
		return FirstProcess
	}
	if env, err := os.ReadFile(x.dir + "/environ"); err == nil {
		for setting := range bytes.SplitSeq(env, []byte{0}) {
			if string(setting) == "SYSTEMD_EXEC_PID="+strconv.Itoa(x.pid) || bytes.HasPrefix(setting, []byte("NOTIFY_SOCKET=")) {
				return Systemd
			}
		}
	}
	if group, err := os.ReadFile(x.dir + "/cgroup"); err == nil && x.stat.parent == 1 && x.stat.sid == x.pid {
		if strings.HasSuffix(strings.TrimSpace(string(group)), ".service") {
			return Systemd
		}
	}
	return Shell
}

func verdict(ok bool) Verdict {
	if ok {
		return Pass
	}
	return Fail
}

func (x *examination) descriptors() Point {
	p := newPoint(aboutDescriptors, Pass)
	entries, err := os.ReadDir(x.dir + "/fd")
	if err != nil {
		return x.cannot(p, err)
	}
	var fds []int
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	for _, fd := range fds {
		target, err := os.Readlink(fmt.Sprintf("%s/fd/%d", x.dir, fd))
		if err != nil {
			continue // closed meanwhile
		}
		info, err := readStatus(fmt.Sprintf("%s/fdinfo/%d", x.dir, fd))
		if err != nil {
			continue
		}
		flags, _ := strconv.ParseUint(info["flags"], 8, 64) // absent: none
		line := fmt.Sprintf("%d → %s", fd, target)
		switch {
		case isTerminal(target):
			line += ": a terminal"
			p.Verdict = Fail
		case fd > 2 && flags&unix.O_CLOEXEC == 0:
			line += ": without close-on-exec"
			p.Verdict = Fail
		}
		p.Evidence = append(p.Evidence, line)
		if id, err := strconv.Atoi(info["mnt_id"]); err == nil {
			what := fmt.Sprintf("descriptor %d", fd)
			if _, locked := info["lock"]; locked && holdsPID(fmt.Sprintf("%s/fd/%d", x.dir, fd)) {
				what = aPIDFile + what
			}
			x.pin(id, what)
		}
	}
	return p
}

func isTerminal(target string) bool {
	return strings.HasPrefix(target, "/dev/pts/") || strings.HasPrefix(target, "/dev/tty") || target == "/dev/console"
}

// cannot marks a point that can't be looked at.
func (x *examination) cannot(p Point, err error) Point {
	p.Verdict = Unknown
	p.Evidence = append(p.Evidence, fmt.Sprintf("%v (try as root)", err))
	x.hidden = append(x.hidden, p.Name)
	return p
}

func (x *examination) pin(id int, what string) { x.pins[id] = append(x.pins[id], what) }

// pinPath notes the mount of one of the process's own links.
func (x *examination) pinPath(link, what string) error {
	fd, err := openRetry(link, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: link, Err: err}
	}
	id, err := mountID("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	x.pin(id, what)
	return nil
}

func (x *examination) directory() Point {
	p := newPoint(aboutDirectory, Unknown)
	cwd, err := os.Readlink(x.dir + "/cwd")
	if err == nil {
		err = x.pinPath(x.dir+"/cwd", "working directory")
	}
	if err != nil {
		return x.cannot(p, err)
	}
	root, err := os.Readlink(x.dir + "/root")
	if err == nil {
		err = x.pinPath(x.dir+"/root", "root directory")
	}
	if err != nil {
		return x.cannot(p, err)
	}
	p.Evidence = []string{"working directory " + cwd, "root directory " + root}
	p.Verdict = verdict(cwd == root)
	return p
}

func (x *examination) files() Point {
	p := newPoint(aboutExecutable, Noted)
	exe, err := os.Readlink(x.dir + "/exe")
	if err == nil {
		err = x.pinPath(x.dir+"/exe", "executable "+exe)
	}
	if err != nil {
		return x.cannot(p, err)
	}
	p.Evidence = append(p.Evidence, "executable "+exe)
	maps, err := mappedFiles(x.dir + "/maps")
	if err != nil {
		return x.cannot(p, err)
	}
	for _, m := range maps {
		if m.path == exe {
			continue
		}
		p.Evidence = append(p.Evidence, "mapped "+m.path)
		if err := x.pinMapping(m); err != nil {
			return x.cannot(p, err)
		}
	}
	return p
}

type mapping struct {
	addresses, path string
	device, inode   string
}

// pinMapping notes the mount of a mapped file: by the mapping, which only root
// may open, or by its path, if that leads to the same file still.
func (x *examination) pinMapping(m mapping) error {
	what := "mapping of " + m.path
	err := x.pinPath(x.dir+"/map_files/"+m.addresses, what)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	path := x.dir + "/root" + m.path
	var st unix.Stat_t
	if statErr := unix.Stat(path, &st); statErr != nil {
		return err
	}
	dev := uint64(st.Dev)
	if fmt.Sprintf("%02x:%02x", unix.Major(dev), unix.Minor(dev)) != m.device || strconv.FormatUint(st.Ino, 10) != m.inode {
		return err
	}
	return x.pinPath(path, what)
}

// mappedFiles lists each mapped file once.
func mappedFiles(file string) ([]mapping, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	byPath := map[string]mapping{}
	for line := range strings.Lines(string(b)) {
		// address perms offset dev inode path; inode 0: no file.
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[4] == "0" {
			continue
		}
		_, path, _ := strings.Cut(line, "/")
		path = "/" + strings.TrimSpace(path)
		byPath[path] = mapping{fields[0], path, fields[3], fields[4]}
	}
	return slices.SortedFunc(maps.Values(byPath), func(a, b mapping) int { return strings.Compare(a.path, b.path) }), nil
}

// pinned must come after those that note the pins.
func (x *examination) pinned() Point {
	p := newPoint(aboutMounts, Pass)
	for _, id := range slices.Sorted(maps.Keys(x.pins)) {
		m, ok := x.mounts[id]
		if !ok {
			continue // the kernel's own: pipes, sockets, files in memory
		}
		line := fmt.Sprintf("%s by %s", m, strings.Join(x.pins[id], ", "))
		why := tolerated(m, x.pins[id])
		if why == "" {
			why = "umount fails"
			p.Verdict = Fail
		}
		p.Evidence = append(p.Evidence, line+": "+why)
	}
	if len(x.hidden) > 0 && p.Verdict == Pass || x.mounts == nil {
		p.Verdict = Unknown
		p.Evidence = append(p.Evidence, "not all can be seen (try as root): "+strings.Join(x.hidden, ", "))
	}
	return p
}

func (x *examination) umask() Point {
	p := newPoint(aboutUmask, Pass)
	mask, err := strconv.ParseUint(x.status["Umask"], 8, 32)
	if err != nil {
		return x.cannot(p, fmt.Errorf("this kernel doesn't report it: %w", err))
	}
	p.Evidence = []string{fmt.Sprintf("%03o", mask)}
	switch {
	case mask == 0: // chosen, by PEP 3143's default, or inherited: that can't be seen
		p.Verdict = Noted
		p.Evidence = append(p.Evidence, "each file has the mode that the program gives it")
	case mask&0o002 == 0:
		p.Verdict = Fail
		p.Evidence = append(p.Evidence, "its files may be writable to everybody")
	}
	return p
}

func (x *examination) session() Point {
	p := newPoint(aboutSession, Pass, fmt.Sprintf("process %d, parent %d, process group %d, session %d", x.pid, x.stat.parent, x.stat.group, x.stat.sid))
	switch leader := x.stat.sid == x.pid; {
	case leader && x.situation() != Shell:
		p.Verdict = Noted
		p.Evidence = append(p.Evidence, "leads the session that its supervisor made")
	case leader:
		p.Verdict = Fail
		p.Evidence = append(p.Evidence, "leads its session")
	case x.stat.sid == x.starterSession():
		p.Verdict = Fail
		p.Evidence = append(p.Evidence, "is in the session of its parent, "+x.parentName())
	default:
		p.Verdict = Pass
	}
	return p
}

// starterSession is the parent's session, unless the parent is init or another
// that adopted the process; 0 then.
func (x *examination) starterSession() int {
	if x.stat.parent <= 1 {
		return 0
	}
	parent, err := readStat(x.stat.parent)
	if err != nil {
		return 0 // gone: it is being adopted
	}
	return parent.sid
}

func (x *examination) parentName() string {
	status, err := readStatus(fmt.Sprintf("/proc/%d/status", x.stat.parent))
	if err != nil {
		return "which is gone"
	}
	return status["Name"]
}

func (x *examination) terminal() Point {
	p := newPoint(aboutTerminal, verdict(x.stat.tty == 0), "none")
	if x.stat.tty != 0 {
		p.Evidence[0] = fmt.Sprintf("device %d:%d", unix.Major(uint64(x.stat.tty)), unix.Minor(uint64(x.stat.tty)))
	}
	return p
}

func (x *examination) terminalSignals() Point {
	ignored := x.status.signals("SigIgn")
	p := newPoint(aboutTTY, Pass, "ignored: "+ignored.String())
	for _, sig := range []syscall.Signal{syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGTSTP} {
		if !ignored.has(sig) {
			p.Verdict = Fail
			p.Evidence = append(p.Evidence, unix.SignalName(sig)+" isn't ignored")
		}
	}
	return p
}

// blocked asks whether the signals that control a daemon reach any thread.
func (x *examination) blocked() Point {
	p := newPoint(aboutSignals, Pass)
	files, err := filepath.Glob(x.dir + "/task/*/status")
	if err != nil || len(files) == 0 {
		return x.cannot(p, fmt.Errorf("no threads in %s/task: %w", x.dir, errors.Join(err, fs.ErrNotExist)))
	}
	everywhere := ^sigset(0)
	for _, file := range files {
		if status, err := readStatus(file); err == nil {
			everywhere &= status.signals("SigBlk")
		}
	}
	ignored := x.status.signals("SigIgn")
	p.Evidence = []string{"blocked in every thread: " + everywhere.String(), "caught: " + x.status.signals("SigCgt").String()}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGCHLD} {
		if everywhere.has(sig) {
			p.Verdict = Fail
			p.Evidence = append(p.Evidence, unix.SignalName(sig)+" is blocked")
		}
	}
	if ignored.has(syscall.SIGTERM) {
		p.Verdict = Fail
		p.Evidence = append(p.Evidence, "SIGTERM is ignored")
	}
	return p
}

func (x *examination) childSignal() Point {
	ok := !x.status.signals("SigIgn").has(syscall.SIGCHLD)
	p := newPoint(aboutChildren, verdict(ok))
	zombies := 0
	for _, child := range childrenOf(x.pid) {
		if s, err := readStat(child); err == nil && s.state == "Z" {
			zombies++
		}
	}
	p.Evidence = []string{fmt.Sprintf("%d zombies", zombies)}
	return p
}

func (x *examination) core() Point {
	p := newPoint(aboutCore, Unknown)
	limits, err := os.ReadFile(x.dir + "/limits")
	if err != nil {
		return x.cannot(p, err)
	}
	_, rest, _ := strings.Cut(string(limits), "Max core file size")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return x.cannot(p, errors.New("the kernel reports no core limit"))
	}
	p.Evidence = []string{fmt.Sprintf("limit %s, at most %s", fields[0], fields[1])}
	p.Verdict = verdict(fields[0] == "0")
	return p
}

func (x *examination) privileges() Point {
	p := newPoint(aboutPrivileges, Noted,
		"user "+x.status["Uid"]+", group "+x.status["Gid"]+" (real, effective, saved, file system)",
		"groups "+strings.TrimSpace(x.status["Groups"]),
		"effective capabilities "+x.status["CapEff"]+", ambient "+x.status["CapAmb"],
		"no_new_privs "+x.status["NoNewPrivs"])
	if uids := strings.Fields(x.status["Uid"]); len(uids) > 1 && uids[1] != "0" && strings.Trim(x.status["CapEff"], "0") == "" {
		p.Verdict = Pass
	}
	return p
}
