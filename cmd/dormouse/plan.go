package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors/poll"
	"example.org/dormouse/sensors/poll/timetable"
)

// printPlan prints the wakes of the configuration, as if it started now.
func (s *settings) printPlan(ctx context.Context, w io.Writer, until timetable.Horizon) error {
	cfg, err := s.Load()
	if err != nil {
		return err
	}
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer clock.Close()
	poller, err := poll.New(poll.Options{Config: cfg, Board: openBoard(s.board, clock), Clock: clock})
	if err != nil {
		return err
	}
	now := clock.Now()
	wall, known := clock.Wall(now)
	end, err := until.End(now, wall, known)
	if err != nil {
		err = fmt.Errorf("--until=%w", err)
		if errors.Is(err, timetable.ErrHorizon) {
			err = usageError{err}
		}
		return err
	}
	table, err := timetable.New(ctx, poller, cfg, clock, now, end)
	if err != nil {
		return err
	}
	return table.WriteText(w)
}
