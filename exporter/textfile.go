package exporter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/state"
	"golang.org/x/sys/unix"
)

// WriteText writes the latest Snapshot in Prometheus' text format, without what
// the process says of itself: the content of the text file.
func (e *Exporter) WriteText(w io.Writer) error {
	v := e.view(e.current.Load().facts)
	v.textfile = true
	if _, err := w.Write(e.renderer.textfile(v)); err != nil {
		return fmt.Errorf("write the readings: %w", err)
	}
	return nil
}

// WriteTextfile replaces the file by WriteText's text, for node_exporter's
// textfile collector: a reader sees either the previous content or the
// new one. The file is readable by all, as node_exporter runs under a user of
// its own. It isn't flushed to the disk: after a power cut it is written again
// at the first wake, and an SD card is spared a flush at every wake.
func (e *Exporter) WriteTextfile(path string) error {
	var text bytes.Buffer
	if err := e.WriteText(&text); err != nil {
		return err
	}
	// The textfile collector reads *.prom, and so doesn't read this one.
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err == nil {
		err = state.Replace(path, temp, text.Bytes(), func(f *os.File) error { return f.Chmod(0o644) }, false)
	}
	if err != nil {
		return fmt.Errorf("write the text file %s: %w%s", path, err, advice(err))
	}
	return nil
}

// Text writes s, of a daemon that isn't there, as WriteText does.
func Text(w io.Writer, s *sensors.Snapshot, o Options) error {
	e := New(o)
	e.Publish(s)
	return e.WriteText(w)
}

// WriteTextfile writes s, of a daemon that isn't there, as the method of that
// name does.
func WriteTextfile(path string, s *sensors.Snapshot, o Options) error {
	e := New(o)
	e.Publish(s)
	return e.WriteTextfile(path)
}

// advice says what to do about an error, where that is known.
func advice(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return ": free some space there; the previous file stays in place"
	case errors.Is(err, unix.EROFS):
		return ": the file system is mounted read-only, or a systemd unit shows it so: name a directory on another with --textfile, or this one in the unit's ReadWritePaths="
	case errors.Is(err, unix.ENOENT):
		return ": the directory does not exist; create it, or name another with --textfile"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return ": the user that dormouse runs as may not write there"
	}
	return ""
}
