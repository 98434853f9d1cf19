package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A start is the time from the command that is typed until it has ended and
// the daemon is ready, and what memory the daemon has then.
type start struct {
	release string
	took    []float64 // ms
	after   footprint
}

// measureStarts starts the daemon again and again, running from its file and
// from a copy in memory.
func measureStarts(binary, dir string, n int) ([]start, error) {
	all := []start{{release: "never"}, {release: "always"}}
	for range n {
		for i := range all {
			if err := all[i].measure(binary, dir); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (s *start) measure(binary, dir string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	args := oursCommand(binary, dir, filepath.Join(dir, "forty.prom"), port, never)
	args[1] = "start"
	args = append(args, "--log.output="+filepath.Join(dir, "start.log"), "--release-executable="+s.release)
	begin := time.Now()
	if err := run(args[0], args[1:]...); err != nil {
		return err
	}
	s.took = append(s.took, float64(time.Since(begin).Microseconds())/1000)
	text, err := os.ReadFile(pidFile(dir, port))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	s.after, err = footprintOf(pid)
	return errors.Join(err, stopDaemon(binary, pidFile(dir, port), pid))
}

func stopDaemon(binary, pidFile string, pid int) error {
	stop := exec.Command(binary, "stop", "--pid-file="+pidFile)
	if out, err := stop.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", errors.Join(err, syscall.Kill(pid, syscall.SIGKILL)), out)
	}
	return nil
}

// An activation is one run of `dormouse read --textfile`, as a timer starts it
// where nothing is to be resident.
type activation struct{ took, cpu []float64 } // ms

func measureActivations(binary, dir string, n int) (activation, error) {
	var a activation
	for range n {
		cmd := exec.Command(binary, "read", "--log.level=error", "--state.directory="+dir,
			"--sensor=cpu=thermal,zone="+zoneType, "--textfile="+filepath.Join(dir, "activation.prom"))
		begin := time.Now()
		if err := output(cmd); err != nil {
			return a, err
		}
		a.took = append(a.took, ms(time.Since(begin)))
		a.cpu = append(a.cpu, ms(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()))
	}
	return a, nil
}

// pageSize starts ours for a moment, to know how large its page is.
func pageSize(dir string) func(string) (int, error) {
	return func(binary string) (n int, err error) {
		p := &program{name: "dormouse", page: true, args: func(port int, every time.Duration) []string {
			return oursCommand(binary, dir, filepath.Join(dir, "forty.prom"), port, every)
		}}
		i, err := p.start(never)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, i.stop()) }()
		s, err := newScraper(i.port)
		if err != nil {
			return 0, err
		}
		defer s.close()
		bytes, err := s.scrape()
		return int(bytes), err
	}
}
