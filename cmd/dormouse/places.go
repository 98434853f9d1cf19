package main

import (
	"errors"
	"fmt"
	"os"

	"example.org/dormouse/daemon"
)

// tryPlaces warns of what will be lost because it can't be written, while
// somebody may still be there to read it. None of it is a reason not to start:
// the sensors can be read, and the disk may have room again.
func (s *settings) tryPlaces(p *daemon.Process, log *logger) {
	if err := log.trouble(); err != nil {
		p.Warn(fmt.Sprintf("--log.output: %v: lines are lost until it can be written; make room there, or choose another file", err))
	}
	if err := tryWriting(s.stateDirectory); err != nil {
		p.Warn(fmt.Sprintf("--state.directory: %v: the counts won't be kept; choose a directory that the daemon's user may write to, on a disk with room", err))
	}
}

// tryWriting writes a block to a file in dir, and removes it.
func tryWriting(dir string) error {
	if dir == "" {
		return nil
	}
	f, err := os.CreateTemp(dir, ".try-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}
