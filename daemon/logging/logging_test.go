package logging

import (
	"errors"
	"fmt"
	"log/slog"
	"log/syslog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/common/promslog"
	"golang.org/x/sys/unix"
)

func levelAndFormat(t *testing.T, level, format string) (*promslog.Level, *promslog.Format) {
	t.Helper()
	l, f := promslog.NewLevel(), promslog.NewFormat()
	if err := errors.Join(l.Set(level), f.Set(format)); err != nil {
		t.Fatal(err)
	}
	return l, f
}

// Each record reaches syslog with its own severity, facility daemon (3), and
// without what syslog adds itself.
func TestSyslogSeverities(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	server, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	out, err := syslog.Dial("unixgram", path, syslog.LOG_DAEMON|syslog.LOG_INFO, "dormouse")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, format := range []string{"logfmt", "json"} {
		level, f := levelAndFormat(t, "debug", format)
		log := slog.New(newSeverityHandler(out, level, f)).With("sensor", "pond")
		for _, test := range []struct {
			log  func(string, ...any)
			want string // facility 3 times eight and the severity, RFC 5424 section 6.2.1
		}{{log.Error, "<27>"}, {log.Warn, "<28>"}, {log.Info, "<30>"}, {log.Debug, "<31>"}} {
			test.log("down", "err", "no answer")
			buf := make([]byte, 1024)
			n, _, err := server.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			line := string(buf[:n])
			if !strings.HasPrefix(line, test.want) || !strings.Contains(line, "down") || !strings.Contains(line, "pond") || !strings.Contains(line, "no answer") {
				t.Errorf("%s: got %q, want %s and what was logged", format, line, test.want)
			}
			if strings.Contains(line, "time") || strings.Contains(line, "level") {
				t.Errorf("%s: %q repeats what syslog tells", format, line)
			}
		}
	}
}

func TestLogFileErrors(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	level, format := levelAndFormat(t, "info", "logfmt")
	for path, want := range map[string]error{
		filepath.Join(dir, "no", "log"): syscall.ENOENT,
		link:                            syscall.ELOOP,
		dir:                             syscall.EISDIR,
	} {
		if _, err := New(path, level, format); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

// A file that can't be opened again leaves the old one in use.
func TestFailedReopenKeepsTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log")
	level, format := levelAndFormat(t, "info", "logfmt")
	log, err := New(path, level, format)
	if err != nil {
		t.Fatal(err)
	}
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("reopen in a directory that is gone: %v", err)
	}
	log.Info("still here")
	if text, err := os.ReadFile(filepath.Join(moved, "log")); err != nil || !strings.Contains(string(text), "still here") {
		t.Errorf("the old log holds %q, %v", text, err)
	}
}

// Others than its group may not read it, whatever the umask, and not after it was
// rotated either.
func TestModeOfTheLogFile(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))
	path := filepath.Join(t.TempDir(), "log")
	level, format := levelAndFormat(t, "info", "logfmt")
	log, err := New(path, level, format)
	for range 2 {
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("mode %v, %v, want 0640", info.Mode(), err)
		}
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		err = log.Reopen()
	}
}

// Where standard error is the journal's stream each line begins with its severity;
// where the variable is another process's, none does.
func TestJournalSeverities(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	defer func() { os.Stderr = before }()
	os.Stderr = file
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	level, format := levelAndFormat(t, "debug", "logfmt")
	for stream, want := range map[string]string{
		fmt.Sprintf("%d:%d", st.Dev, st.Ino): "<3>msg=\"two\\nlines\" sensor=pond\n<4>msg=b\n<6>msg=c\n<7>msg=d\n",
		"1:1":                                "",
	} {
		t.Setenv("JOURNAL_STREAM", stream)
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		log, err := New(Stderr, level, format)
		if err != nil {
			t.Fatal(err)
		}
		log.Error("two\nlines", "sensor", "pond")
		log.Warn("b")
		log.Info("c")
		log.Debug("d")
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if want != "" && string(text) != want || want == "" && (strings.Contains(string(text), "<4>") || !strings.Contains(string(text), "level=WARN")) {
			t.Errorf("stream %s: %q", stream, text)
		}
	}
}

// An error in several lines has its priority in each.
func TestErrorsInTheJournal(t *testing.T) {
	b := &strings.Builder{}
	if _, err := fmt.Fprintf(errorLines{b}, "dormouse: %s\n", "a: wrong\nb: wrong"); err != nil || b.String() != "<3>dormouse: a: wrong\n<3>b: wrong\n" {
		t.Errorf("%q, %v", b, err)
	}
	t.Setenv("JOURNAL_STREAM", "")
	if w := Errors(os.Stderr); w != os.Stderr {
		t.Errorf("without a journal: %v", w)
	}
}
