package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"strings"
	"sync"

	"github.com/prometheus/common/promslog"
	"golang.org/x/sys/unix"
)

// A severityWriter takes lines by severity, as *syslog.Writer does.
type severityWriter interface {
	Err(line string) error
	Warning(line string) error
	Info(line string) error
	Debug(line string) error
}

// severityHandler hands each record on with its own severity, without the time
// and the level, which the receiver adds.
type severityHandler struct {
	slog.Handler // formats into text
	text         *strings.Builder
	mu           *sync.Mutex
	out          severityWriter
}

func newSeverityHandler(out severityWriter, level *promslog.Level, format *promslog.Format) slog.Handler {
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
	return &severityHandler{Handler: inner, text: text, mu: new(sync.Mutex), out: out}
}

func (h *severityHandler) Handle(ctx context.Context, r slog.Record) error {
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

func (h *severityHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithAttrs(attrs)
	return &c
}

func (h *severityHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.Handler = h.Handler.WithGroup(name)
	return &c
}

// journal is systemd's, by the stream that it has made a service's standard
// error. A line may begin with its severity in angle brackets: sd-daemon(3).
type journal struct{ w io.Writer }

func (j journal) Err(line string) error     { return j.line(syslog.LOG_ERR, line) }
func (j journal) Warning(line string) error { return j.line(syslog.LOG_WARNING, line) }
func (j journal) Info(line string) error    { return j.line(syslog.LOG_INFO, line) }
func (j journal) Debug(line string) error   { return j.line(syslog.LOG_DEBUG, line) }

func (j journal) line(severity syslog.Priority, line string) error {
	_, err := fmt.Fprintf(j.w, "<%d>%s\n", severity, line)
	return err
}

// isJournal tells whether the file is the stream to the journal, whose device and
// inode systemd tells: systemd.exec(5), JOURNAL_STREAM.
func isJournal(f *os.File) bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil {
		return false
	}
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return err == nil && uint64(st.Dev) == device && st.Ino == inode
}

// Errors is where to write lines that tell of an error: the file, with the
// priority before each line where it is the stream to the journal.
func Errors(f *os.File) io.Writer {
	if isJournal(f) {
		return errorLines{f}
	}
	return f
}

type errorLines struct{ w io.Writer }

func (e errorLines) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		if err := journal(e).Err(strings.TrimSuffix(line, "\n")); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}
