package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

const (
	logFailures = "failures"
	logAll      = "all"
)

// ending is how long after its deadline a read may return.
func ending(o *sensors.Options) time.Duration {
	return o.Duration("kill-after") + killTries*lookAgain
}

// ended logs the output of a run, and tells of a change of state by what it
// returns.
func ended(e sensors.Env, out sensors.Outcome) func(context.Context) {
	logOutput(e, out)
	if !out.Changed {
		return nil
	}
	key := "on-recovery"
	if out.Err != nil {
		key = "on-failure"
	}
	argv := e.Options().List(key)
	if len(argv) == 0 {
		return nil
	}
	return func(ctx context.Context) {
		if err := hook(ctx, e, argv, out); err != nil {
			e.Log().Error("the program for on-failure or on-recovery failed", "option", key, "err", err)
		}
	}
}

func logOutput(e sensors.Env, out sensors.Outcome) {
	if out.Run == nil || out.Run.Output == "" {
		return // poll logs that it is down, and why
	}
	all := e.Options().Text("log") == logAll
	attrs := []any{"status", out.Run.Status, "took", duration.Format(out.Run.Took.Round(time.Millisecond)), "output", strings.TrimRight(out.Run.Output, "\n")}
	if out.Run.Cut > 0 {
		attrs = append(attrs, "cut_bytes", out.Run.Cut)
	}
	switch {
	case out.Err != nil && (all || !out.Repeated):
		e.Log().Warn("output of the failed run", attrs...)
	case out.Err == nil && all:
		e.Log().Info("output of the run", attrs...)
	}
}

// hook runs a program that tells somebody of a change of state.
func hook(ctx context.Context, e sensors.Env, argv []string, out sensors.Outcome) error {
	p, err := newProgram(e, argv)
	if err != nil {
		return err
	}
	l, err := p.launch(hookVariables(e.Name(), out)...)
	if err != nil {
		return err
	}
	ran, err := run(ctx, e, l, false)
	switch {
	case err != nil:
		return err
	case ran.ended != nil:
		return withWords(ran.ended, ran.said.lastWords())
	case ran.status != 0:
		return withWords(fmt.Errorf("%s %s", argv[0], ran.how()), ran.said.lastWords())
	}
	return nil
}

// hookVariables are the environment variables by which a hook learns what has
// happened.
func hookVariables(name string, out sensors.Outcome) []string {
	const most = 4 << 10 // of the output; the whole environment is limited
	vars := []string{"DORMOUSE_NAME=" + name, "DORMOUSE_STATUS=", "DORMOUSE_REASON=", "DORMOUSE_ERROR=", "DORMOUSE_OUTPUT="}
	if out.Run != nil {
		text := strings.ReplaceAll(out.Run.Output, "\x00", "\uFFFD")
		if len(text) > most {
			text = strings.ToValidUTF8(text[len(text)-most:], "")
		}
		vars[1] = fmt.Sprintf("DORMOUSE_STATUS=%d", out.Run.Status)
		vars[4] = "DORMOUSE_OUTPUT=" + text
	}
	if out.Err != nil {
		vars[2] = "DORMOUSE_REASON=" + string(sensors.ReasonOf(out.Err))
		vars[3] = "DORMOUSE_ERROR=" + strings.ReplaceAll(out.Err.Error(), "\x00", "\uFFFD")
	}
	return vars
}
