package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"example.org/dormouse/sensors"
)

const (
	noFormat = ": it is neither a program for this machine nor a script that begins with #!, as in #!/usr/bin/python3"
	windows  = ": its lines end as on Windows, and the name of the interpreter with them: save it with the line ends of Unix, or convert it with dos2unix"
)

// withWords adds what the program said last to the error of its run.
func withWords(err error, words string) error {
	if words == "" {
		return err
	}
	return &sensors.RunError{Err: err, Words: words}
}

// startError says what is to be done about a program that couldn't be started.
func startError(err error, cmd *exec.Cmd) error {
	var option *sensors.OptionError
	if errors.As(err, &option) {
		return sensors.Errorf(sensors.Command, "start %s: %w", cmd.Path, err)
	}
	advice := ""
	switch {
	case errors.Is(err, syscall.EPERM) && cmd.SysProcAttr.Credential != nil:
		advice = ": only root, or CAP_SETUID and CAP_SETGID, can run it as another user; under systemd they are in CapabilityBoundingSet= and AmbientCapabilities=. With NoNewPrivileges= setuid programs and sudo don't work either"
	case errors.Is(err, syscall.EPERM):
		advice = ": the system forbids it; with NoNewPrivileges= in the unit setuid programs and sudo don't work"
	case errors.Is(err, syscall.EACCES):
		advice = ": the user it runs as may not execute it; chmod +x it, and let that user search every directory above it and the working directory; its mount must not be noexec"
	case errors.Is(err, syscall.ENOEXEC):
		advice = noFormat
	case errors.Is(err, syscall.ENOENT):
		advice = ": if it exists, the interpreter named in its first line (#!) or its dynamic loader doesn't"
		if first, ok := shebang(cmd.Path); ok {
			advice = fmt.Sprintf(": its first line is %q: is that interpreter installed?", first)
			if strings.HasSuffix(first, "\r") {
				advice = fmt.Sprintf(": its first line is %q%s", first, windows)
			}
		}
	}
	return sensors.Errorf(sensors.Command, "start %s: %w%s", cmd.Path, err, advice)
}

// shebang returns the first line of a script.
func shebang(path string) (string, bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	head := make([]byte, 256) // what the kernel reads: BINPRM_BUF_SIZE
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", false
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	return string(line), bytes.HasPrefix(line, []byte("#!"))
}

// hidden says how a path below a user's home comes to be missing in the unit's
// sandbox; "" where that isn't why. systemd puts an empty, inaccessible
// directory over what ProtectHome= hides: systemd.exec(5).
func hidden(path string) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for _, home := range []string{"/home", "/root", "/run/user"} {
		if (path == home || strings.HasPrefix(path, home+"/")) && covered(string(mounts), home) {
			return fmt.Sprintf(": the unit's ProtectHome= hides %s: install the drop-in systemd/tasks-in-home.conf (of the package: /usr/share/doc/dormouse/examples), which opens it", home)
		}
	}
	return ""
}

// covered tells whether something of systemd's own is mounted over a
// directory: /proc/PID/mountinfo, proc(5), has the root of a mount in field 4
// and its place in field 5. The directory that hides is in /run/systemd, and in
// a container of systemd-nspawn in /run/host.
func covered(mountinfo, directory string) bool {
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) > 5 && fields[4] == directory && strings.HasSuffix(fields[3], "/inaccessible/dir") {
			return true
		}
	}
	return false
}
