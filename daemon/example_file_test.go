package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"example.org/dormouse/daemon"
)

// A program that keeps a file open and appends to it. The file is opened where
// the command was typed, and handed to the daemon. At SIGHUP it is opened again,
// as logrotate asks for: "notes rotated".
func Example_file() {
	pidFile := filepath.Join(os.TempDir(), fmt.Sprintf("notes-%d.pid", os.Getuid()))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	var err error
	switch args := append(os.Args[1:], "", ""); {
	case args[0] == "start" && args[1] != "":
		err = takeNotes(pidFile, args[1])
	case args[0] == "rotated":
		_, err = daemon.Signal(ctx, pidFile, syscall.SIGHUP)
	case args[0] == "stop":
		_, err = daemon.Stop(ctx, pidFile)
	default:
		err = daemon.WithExitCode(errors.New("usage: notes start FILE | rotated | stop"), daemon.ExitUsage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(daemon.ExitCode(err))
	}
}

func takeNotes(pidFile, name string) error {
	c := daemon.New("notes")
	c.PIDFile = pidFile
	path, resumed := daemon.Handover()
	if !resumed {
		// The daemon's directory is another one, so the path is made absolute now.
		// And an error is told to whoever typed the name.
		absolute, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		file, err := openNotes(absolute)
		if err != nil {
			return err
		}
		path = []byte(absolute)
		c.Handover, c.FilesPreserve = path, []*os.File{file}
	}
	p, err := c.Open()
	if err != nil {
		return err
	}
	if p.Starter() {
		fmt.Println("notes runs as process", p.PID())
		return nil
	}
	file := p.Preserved()[0]
	if err := note(file, "started"); err != nil {
		return p.Fail(err)
	}
	if err := p.Ready("taking notes"); err != nil {
		return err
	}
	for event := range p.Events() {
		switch event {
		case daemon.Reload:
			again, err := openNotes(string(path))
			if err != nil { // the old one is better than none
				err = note(file, err.Error())
			} else {
				err = errors.Join(file.Close(), note(again, "opened again"))
				file = again
			}
			if err != nil {
				return errors.Join(err, p.Close())
			}
		case daemon.Terminate:
			return errors.Join(note(file, "stopped"), file.Close(), p.Close())
		}
	}
	return p.Close()
}

// openNotes names the mode that the file is to have: the daemon's umask is 0.
func openNotes(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

func note(file *os.File, text string) error {
	_, err := fmt.Fprintln(file, text)
	return err
}
