// Package logging opens where a daemon logs: standard error, a file that
// follows its rotation, or syslog. Syslog and systemd's journal get each record's
// own severity.
package logging

import (
	"errors"
	"fmt"
	"log/slog"
	"log/syslog"
	"os"
	"sync"

	"github.com/prometheus/common/promslog"

	"example.org/dormouse/daemon"
)

// The outputs that aren't files.
const (
	Stderr = "stderr"
	Syslog = "syslog"
)

// A Logger writes to standard error, a file or syslog. A write that fails is
// reported once, on standard error, and is no error of the caller's.
type Logger struct {
	*slog.Logger
	file *logFile // nil unless the output is a file
}

// New opens the output: Stderr, Syslog or a file's absolute path.
func New(output string, level *promslog.Level, format *promslog.Format) (*Logger, error) {
	switch output {
	case Stderr:
		if isJournal(os.Stderr) {
			return &Logger{Logger: slog.New(newSeverityHandler(journal{os.Stderr}, level, format))}, nil
		}
		return &Logger{Logger: promslog.New(&promslog.Config{Level: level, Format: format, Writer: os.Stderr})}, nil
	case Syslog:
		out, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "dormouse")
		if err != nil {
			return nil, fmt.Errorf("open syslog: %w: no daemon listens on /dev/log: start a syslog daemon, or log to a file", err)
		}
		return &Logger{Logger: slog.New(newSeverityHandler(out, level, format))}, nil
	}
	f := &logFile{path: output}
	if err := f.Reopen(); err != nil {
		return nil, err
	}
	return &Logger{Logger: promslog.New(&promslog.Config{Level: level, Format: format, Writer: f}), file: f}, nil
}

// Reopen opens the log file again, after it was rotated. Where that fails the
// old file stays in use.
func (l *Logger) Reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.Reopen()
}

// Lost is why the last line was lost; nil if it wasn't.
func (l *Logger) Lost() error {
	if l.file == nil {
		return nil
	}
	l.file.mu.Lock()
	defer l.file.mu.Unlock()
	return l.file.failed
}

type logFile struct {
	path string

	mu     sync.Mutex
	file   *os.File
	failed error // of the last write; it was reported
}

func (f *logFile) Reopen() error {
	file, err := daemon.OpenLog(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		// Nothing is buffered here, so closing loses nothing.
		if err := f.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			fmt.Fprintln(os.Stderr, "dormouse: close the old log:", err)
		}
	}
	f.file = file
	return nil
}

func (f *logFile) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.file.Write(line)
	if err != nil && f.failed == nil {
		fmt.Fprintf(os.Stderr, "dormouse: the log can't be written, lines are lost until it can: %v\n", err)
	}
	f.failed = err
	return n, err
}
