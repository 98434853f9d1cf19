package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// verify finds what would keep the programs of a sensor from being started by
// the account, or by the user that the option names.
func verify(o *sensors.Options, by sensors.Account) error {
	if name := o.Text("user"); name != "" {
		_, account, err := lookUp(name)
		if err != nil {
			return err
		}
		if by.UID != 0 && by.UID != account.UID {
			return &sensors.OptionError{Key: "user", Err: fmt.Errorf("the daemon runs as user %d, and only root can run a program as %s", by.UID, name)}
		}
		by = account
	}
	v := verifier{by}
	var errs []error
	add := func(key string, err error) {
		if err != nil {
			errs = append(errs, &sensors.OptionError{Key: key, Err: err})
		}
	}
	for _, key := range []string{"argv", "on-failure", "on-recovery"} {
		if argv := o.List(key); len(argv) > 0 {
			add(key, v.program(argv[0]))
		}
	}
	add("directory", v.directory(o.Text("directory")))
	if file := o.Text("environment-file"); file != "" {
		_, err := v.reach(file, 4, "read")
		if err == nil {
			_, err = readEnvironment(file)
		}
		add("environment-file", err)
	}
	return errors.Join(errs...)
}

// A verifier looks at files as an account would find them: by their modes. Access
// control lists and security modules may say otherwise.
type verifier struct{ by sensors.Account }

// program looks at a program and, if it is a script, at its interpreter.
func (v verifier) program(path string) error {
	info, err := v.reach(path, 1, "execute")
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s: %w", path, syscall.EISDIR)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s %w", path, errNotRegular)
	case noexec(path):
		return fmt.Errorf("%s is on a file system that is mounted noexec: %w", path, syscall.EACCES)
	}
	line, script := shebang(path)
	if !script {
		return format(path)
	}
	if strings.HasSuffix(line, "\r") {
		return fmt.Errorf("%s: its first line is %q%s", path, line, windows)
	}
	interpreter, err := v.interpreter(strings.Fields(strings.TrimPrefix(line, "#!")))
	if err != nil {
		return fmt.Errorf("%s: its first line is %q: %w", path, line, err)
	}
	if interpreter == "" {
		return nil
	}
	if _, err := v.reach(interpreter, 1, "execute"); err != nil {
		return fmt.Errorf("%s: its first line is %q: %w: is that interpreter installed?", path, line, err)
	}
	return nil
}

// format refuses a text that begins with no "#!", and an empty file, which the
// kernel can't run. What it makes of others, binfmt_misc says as well.
func format(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // executable, and not to be read: nothing is known
	}
	defer f.Close()
	head := make([]byte, 8)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	if slices.ContainsFunc(head[:n], func(c byte) bool { return c < '\t' || c == 0x7f }) {
		return nil // ELF begins with 0x7f
	}
	return fmt.Errorf("%s%s: %w", path, noFormat, syscall.ENOEXEC)
}

// interpreter is the program that a script's first line names, through env(1)
// too; empty where its options keep that from being told.
func (v verifier) interpreter(words []string) (string, error) {
	switch {
	case len(words) == 0:
		return "", errors.New("it names no interpreter")
	case filepath.Base(words[0]) != "env" || len(words) < 2:
		return words[0], nil
	case strings.HasPrefix(words[1], "-") || strings.Contains(words[1], "="):
		return "", nil
	}
	for _, dir := range filepath.SplitList(path) {
		found := filepath.Join(dir, words[1])
		if _, err := v.reach(found, 1, "execute"); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("there is no %s in %s: is that interpreter installed?", words[1], path)
}

func (v verifier) directory(path string) error {
	info, err := v.reach(path, 1, "search")
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s: %w", path, syscall.ENOTDIR)
	}
	return err
}

// reach looks whether the account may search all directories above a path, and
// use what is there.
func (v verifier) reach(path string, bit fs.FileMode, what string) (fs.FileInfo, error) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, whyMissing(path, err))
		}
		if !v.may(info, 1) {
			return nil, fmt.Errorf("user %d may not search %s (%v), which is above %s: %w", v.by.UID, dir, info.Mode(), path, syscall.EACCES)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, whyMissing(path, err))
	}
	if !v.may(info, bit) {
		advice := ""
		if bit == 1 && info.Mode()&0o111 == 0 {
			advice = fmt.Sprintf(" (chmod +x %s)", path)
		}
		return nil, fmt.Errorf("user %d may not %s %s (%v)%s: %w", v.by.UID, what, path, info.Mode(), advice, syscall.EACCES)
	}
	return info, nil
}

// may tells whether the account has a right, 1 to execute or 4 to read:
// path_resolution(7). Root may read everything, and execute what anybody may.
func (v verifier) may(info fs.FileInfo, bit fs.FileMode) bool {
	mode := info.Mode().Perm()
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true // the start will tell
	case v.by.UID == 0:
		return bit != 1 || info.IsDir() || mode&0o111 != 0
	case int(st.Uid) == v.by.UID:
		return mode>>6&bit != 0
	case int(st.Gid) == v.by.GID || slices.Contains(v.by.Groups, int(st.Gid)):
		return mode>>3&bit != 0
	}
	return mode&bit != 0
}

func noexec(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}
