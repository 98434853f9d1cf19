// Package logging opens where a daemon logs: standard error, a file that
// follows its rotation, or syslog with each record's own severity.
package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"log/syslog"
	"os"
	"strings"
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
		return &Logger{Logger: promslog.New(&promslog.Config{Level: level, Format: format, Writer: os.Stderr})}, nil
	case Syslog:
		h, err := newSyslogHandler(level, format)
		if err != nil {
			return nil, fmt.Errorf("open syslog: %w: no daemon listens on /dev/log: start a syslog daemon, or log to a file", err)
		}
		return &Logger{Logger: slog.New(h)}, nil
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

// syslogHandler hands each record to syslog with its own severity; syslog adds
// the time.
type syslogHandler struct {
	slog.Handler // formats into text
	text         *strings.Builder
	mu           *sync.Mutex
	out          *syslog.Writer
}

func newSyslogHandler(level *promslog.Level, format *promslog.Format) (slog.Handler, error) {
	out, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "dormouse")
	if err != nil {
		return nil, err
	}
	return formatForSyslog(out, level, format), nil
}

func formatForSyslog(out *syslog.Writer, level *promslog.Level, format *promslog.Format) slog.Handler {
	text := &strings.Builder{}
	options := &slog.HandlerOptions{Level: level.Level(), ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}}
	var inner slog.Handler = slog.NewTextHandler(text, options)
	if format.String() == "json" {
		inner = slog.NewJSONHandler(text, options)
	}
	return &syslogHandler{Handler: inner, text: text, mu: new(sync.Mutex), out: out}
}

func (h *syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	line := strings.TrimSuffix(h.text.String(), "\n")
	switch {
	case r.Level >= slog.LevelError:
		return h.out.Err(line)
	case r.Level >= slog.LevelWarn:
		return h.out.Warning(line)
	case r.Level >= slog.LevelInfo:
		return h.out.Info(line)
	}
	return h.out.Debug(line)
}

func (h *syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithAttrs(attrs)
	return &c
}

func (h *syslogHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithGroup(name)
	return &c
}
