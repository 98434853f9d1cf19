package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// identity is who the daemon is to be.
type identity struct {
	Name     string // of the user
	Home     string
	UID, GID uint32
	Groups   []uint32 // nil: they stay what they are
	Ambient  []uintptr
	Lent     bool // the process has another's rights, by a set-user-ID bit, and gives them up
}

// CheckAccount looks the daemon's user and group up. The error is nil, or a
// [*FieldError]: whether this process may become them isn't checked.
func (c *Context) CheckAccount() error {
	_, err := c.resolve()
	if ExitCode(err) == ExitUsage {
		return err
	}
	return nil
}

// Account tells as whom the daemon will run, also to somebody who may not start
// it as that user.
func (c *Context) Account() (uid, gid int, groups []int, err error) {
	who, err := c.resolve()
	if err != nil {
		return 0, 0, nil, err
	}
	if who == nil {
		groups, err = os.Getgroups()
		return os.Geteuid(), os.Getegid(), groups, err
	}
	for _, g := range who.Groups {
		groups = append(groups, int(g))
	}
	return int(who.UID), int(who.GID), groups, nil
}

// identity is resolve where the process may become that user.
func (c *Context) identity() (*identity, error) {
	who, err := c.resolve()
	if err != nil || who == nil || who.Lent || os.Geteuid() == 0 {
		return who, err
	}
	name := c.User
	if name == "" {
		name = strconv.Itoa(os.Getuid())
	}
	return nil, inField("User", WithExitCode(fmt.Errorf("become user %s: only root may; start as root, or without a user", name), ExitPrivileges))
}

// resolve resolves the names while the starter's files are there. It is nil
// where the process stays who it is.
func (c *Context) resolve() (*identity, error) {
	if c.User == "" && c.Group == "" {
		if len(c.AmbientCapabilities) > 0 {
			return nil, inField("AmbientCapabilities", errors.New("daemon: ambient capabilities are for a user other than root: set User"))
		}
		return realIdentity(), nil
	}
	who := &identity{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Home: "/", Ambient: c.AmbientCapabilities}
	name := c.User
	if name == "" {
		name = strconv.Itoa(os.Getuid())
	}
	account, err := lookupUser(name)
	switch {
	case err == nil:
		who.Name, who.Home = account.Username, account.HomeDir
		if who.UID, err = number(account.Uid); err != nil {
			return nil, err
		}
		if who.GID, err = number(account.Gid); err != nil {
			return nil, err
		}
	case c.User != "":
		// A bare number needs no account.
		uid, convErr := number(c.User)
		if convErr != nil && !errors.Is(convErr, strconv.ErrSyntax) {
			return nil, wrong("User", fmt.Errorf("user: %w", convErr))
		}
		if convErr != nil {
			return nil, wrong("User", fmt.Errorf("user %q: %w; create it (useradd --system %s) or name another", c.User, err, c.User))
		}
		if c.Group == "" {
			return nil, wrong("User", fmt.Errorf("user %s has no account from which to take its group: set the group too", c.User))
		}
		who.UID, who.Name = uid, c.User
	}
	if c.Group != "" {
		if who.GID, err = lookupGroup(c.Group); err != nil {
			return nil, wrong("Group", fmt.Errorf("group %q: %w; create it (groupadd --system %s) or name another", c.Group, err, c.Group))
		}
	}
	if who.Groups, err = c.groups(account, who.GID); err != nil {
		return nil, err
	}
	same, err := who.isSelf()
	if err != nil || same {
		return nil, err
	}
	return who, nil
}

// wrong is an error of what was typed, which another try won't mend.
func wrong(field string, err error) error { return inField(field, WithExitCode(err, ExitUsage)) }

// realIdentity is who executed the program, where a set-user-ID or set-group-ID
// bit made the process another; nil where it didn't. As in PEP 3143, the default
// of uid and gid is the real user and group.
func realIdentity() *identity {
	who := &identity{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Home: "/", Lent: true}
	if who.inForce() {
		return nil
	}
	who.Name = strconv.Itoa(os.Getuid())
	if account, err := user.LookupId(who.Name); err == nil {
		who.Name, who.Home = account.Username, account.HomeDir
	}
	return who
}

// SetID tells whether this process has, by a set-user-ID or set-group-ID bit of
// its executable, other rights than those of who executed it. A program that
// isn't written for that refuses to run: its flags name files, and its
// environment is somebody else's.
func SetID() bool {
	return realIdentity() != nil
}

// choice is why the daemon becomes another user.
func (who *identity) choice() string {
	if who.Lent {
		return "a set-user-ID or set-group-ID bit of the executable had given the process another's rights"
	}
	return "the program names the user or the group (User, Group; daemon(7), step 13)"
}

func (who *identity) describe() string {
	if who.Groups == nil {
		return fmt.Sprintf("become user %s (%d), group %d", who.Name, who.UID, who.GID)
	}
	return fmt.Sprintf("become user %s (%d), group %d, groups %v", who.Name, who.UID, who.GID, who.Groups)
}

// inForce tells whether the process has the user and group, in all their kinds,
// so that it can't become another again. Nobody's is. The file system's ids
// follow the effective ones. It asks the system, not /proc: the root directory
// may have been changed to one without.
func (who *identity) inForce() bool {
	if who == nil {
		return true
	}
	uid, euid, suid := unix.Getresuid()
	gid, egid, sgid := unix.Getresgid()
	has := func(id uint32, ids ...int) bool {
		return !slices.ContainsFunc(ids, func(i int) bool { return uint32(i) != id })
	}
	return has(who.UID, uid, euid, suid) && has(who.GID, gid, egid, sgid)
}

// allAre tells whether real, effective, saved and file system id, as
// /proc/PID/status has them, are the one.
func allAre(ids string, id uint32) bool {
	fields := strings.Fields(ids)
	return len(fields) == 4 && !slices.ContainsFunc(fields, func(s string) bool { return s != strconv.FormatUint(uint64(id), 10) })
}

// orSelf is the user, besides root and whoever started it, whose files the daemon
// uses.
func (who *identity) orSelf() []uint32 {
	users := []uint32{uint32(os.Geteuid())}
	if who != nil {
		users = append(users, who.UID)
	}
	return users
}

// groups are the supplementary groups, the daemon's own group among them.
func (c *Context) groups(account *user.User, gid uint32) ([]uint32, error) {
	groups := []uint32{gid}
	if c.InitGroups && account != nil {
		ids, err := account.GroupIds()
		if err != nil {
			return nil, fmt.Errorf("find the groups of user %s: %w", account.Username, err)
		}
		for _, id := range ids {
			n, err := number(id)
			if err != nil {
				return nil, err
			}
			groups = append(groups, n)
		}
	}
	for _, name := range c.SupplementaryGroups {
		id, err := lookupGroup(name)
		var unknown user.UnknownGroupError
		if errors.As(err, &unknown) {
			continue // not every system has it
		}
		if err != nil {
			return nil, inField("SupplementaryGroups", fmt.Errorf("group %q: %w", name, err))
		}
		groups = append(groups, id)
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// isSelf tells whether the process is the identity already.
func (who *identity) isSelf() (bool, error) {
	if os.Geteuid() == 0 {
		return false, nil // root may also have more groups and capabilities than asked for
	}
	return os.Getuid() == int(who.UID) && os.Getgid() == int(who.GID), nil
}

func lookupUser(name string) (*user.User, error) {
	account, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		if byID, idErr := user.LookupId(name); idErr == nil {
			return byID, nil
		}
	}
	return account, err
}

func lookupGroup(name string) (uint32, error) {
	group, err := user.LookupGroup(name)
	if err == nil {
		return number(group.Gid)
	}
	if n, convErr := number(name); convErr == nil {
		return n, nil
	}
	return 0, err
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && uint32(n) == ^uint32(0) {
		err = errors.New("this number means \"unchanged\" to the kernel")
	}
	if err != nil {
		return 0, fmt.Errorf("id %q: %w", s, err)
	}
	return uint32(n), nil
}

// credential is the identity for a child, set between fork and execution.
func (who *identity) credential() *syscall.Credential {
	if who == nil {
		return nil
	}
	return &syscall.Credential{Uid: who.UID, Gid: who.GID, Groups: who.Groups, NoSetGroups: who.Groups == nil}
}

// become makes this process, all its threads, the identity, for good.
func (who *identity) become() error {
	if len(who.Ambient) > 0 {
		if err := prctl(unix.PR_SET_KEEPCAPS, 1, 0); err != nil {
			return fmt.Errorf("keep capabilities in the foreground: %w; build the program with CGO_ENABLED=0, or detach", err)
		}
	}
	groups := make([]int, len(who.Groups))
	for i, gid := range who.Groups {
		groups[i] = int(gid)
	}
	// The groups first, while root may still set them, and the user last.
	if who.Groups != nil {
		if err := syscall.Setgroups(groups); err != nil {
			return fmt.Errorf("set groups %v: %w", groups, err)
		}
	}
	if err := syscall.Setresgid(int(who.GID), int(who.GID), int(who.GID)); err != nil {
		return fmt.Errorf("become group %d: %w", who.GID, err)
	}
	if err := syscall.Setresuid(int(who.UID), int(who.UID), int(who.UID)); err != nil {
		return fmt.Errorf("become user %d: %w", who.UID, err)
	}
	if who.UID != 0 && len(who.Ambient) == 0 && syscall.Setuid(0) == nil {
		return errors.New("became root again: the privileges were not dropped")
	}
	if len(who.Ambient) > 0 {
		return who.limit()
	}
	return nil
}

// limit leaves the ambient capabilities and no others.
func (who *identity) limit() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	for _, capability := range who.Ambient {
		s, bit := &sets[capability/32], uint32(1)<<(capability%32)
		s.Effective |= bit
		s.Permitted |= bit
		s.Inheritable |= bit
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0])), 0)
	runtime.KeepAlive(&header)
	runtime.KeepAlive(&sets)
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	for _, capability := range who.Ambient {
		if err := prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, capability); err != nil {
			return fmt.Errorf("keep capability %d: %w", capability, err)
		}
	}
	return nil
}

// prctl sets an attribute of every thread. In a program built with cgo it
// fails, because the threads aren't all Go's.
func prctl(option int, arg2, arg3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, uintptr(option), arg2, arg3, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// lacksNoNewPrivileges tells whether this process could gain privileges by
// executing a setuid program.
func lacksNoNewPrivileges() (bool, error) {
	n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return false, fmt.Errorf("no_new_privs: %w", err)
	}
	return n == 0, nil
}

// setNoNewPrivileges is for this thread, and for what it forks or executes.
func setNoNewPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}

// forbidCore forbids core dumps and attaching by ptrace(2). The limit is kept
// through an execution, the other isn't.
func forbidCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

// Readable tells whether the daemon's user will be able to read the file, by the
// permission bits on the way to it (path_resolution(7)); nil: yes. What the
// starter reads as root, the daemon may fail to read again.
func (c *Context) Readable(path string) error {
	who, err := c.resolve()
	if err != nil || who == nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	if err := who.reach(filepath.Dir(path)); err != nil {
		return fmt.Errorf("user %s won't be able to read %s again: %w", who.Name, path, err)
	}
	if err := who.may(path, 0o4); err != nil {
		return fmt.Errorf("user %s won't be able to read it again: %w", who.Name, err)
	}
	return nil
}

// reach checks that the user may search a directory, whose path has no symbolic
// links, and those above it.
func (who *identity) reach(dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		if err := who.may(dir, 0o1); err != nil || dir == filepath.Dir(dir) {
			return err
		}
	}
}

// may checks one permission bit: 4 to read, 1 to search.
func (who *identity) may(path string, bit uint32) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case who.UID == 0:
		return nil
	case st.Uid == who.UID:
		bit <<= 6
	case st.Gid == who.GID || slices.Contains(who.Groups, st.Gid):
		bit <<= 3
	}
	if st.Mode&bit == 0 {
		return fmt.Errorf("%s has mode %04o, user %d, group %d", path, st.Mode&0o7777, st.Uid, st.Gid)
	}
	return nil
}
