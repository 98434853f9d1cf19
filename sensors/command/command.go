// Package command runs programs on the schedule: whatever can print a number
// or metrics is a sensor, and whatever has an exit status is a task. A program
// lives for one read and is killed with its children when the time is up; what
// it printed is trusted no further than a chip's answer.
//
// It is no init and no cron: nothing that should keep running is started here,
// and when a program is due is decided in sensors/poll.
package command

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"example.org/dormouse/sensors"
)

const (
	number     = "number"
	prometheus = "prometheus"
	none       = "none"
)

// path is where programs look for programs: the daemon's own PATH is whatever
// its starter's was.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "command",
		Summary:   "any program: the number or the metrics it prints, or a task whose exit status is the result",
		Datasheet: "Prometheus text exposition format 0.0.4; docs/commands.md",
		Wiring:    "the program must be executable by the user it runs as; directories and mounts are not kept in use between runs",
		Timing:    "as long as the program runs, at most timeout (1m unless said otherwise): then it is killed with its children",
		Options: []sensors.Option{
			{Name: "argv", Type: sensors.ListOption, Required: true, Help: "the program, by its absolute path, and its arguments; no shell takes part"},
			{Name: "output", Type: sensors.EnumOption, Choices: []string{number, prometheus, none}, Default: number,
				Help: "what it prints: one number, metrics in Prometheus' text format, or nothing that matters: a task"},
			{Name: "user", Type: sensors.TextOption, Help: "user to run it as, with that user's groups; only root can become another"},
			{Name: "env", Type: sensors.MapOption, Help: "its environment, besides PATH, LANG, HOME, USER and LOGNAME"},
			{Name: "directory", Type: sensors.PathOption, Default: "/", Help: "its working directory"},
			{Name: "timeout", Type: sensors.DurationOption, Default: "1m", Range: &sensors.Range{Min: 0.01, Max: 366 * 86400},
				Help: "how long it may run before it is killed with its children"},
			{Name: "retries", Type: sensors.IntegerOption, Default: "0", Range: &sensors.Range{Min: 0, Max: 10},
				Help: "further runs when it fails: a task may have been half done"},
		},
		Claims: claims,
		Check:  check,
		New:    open,
	})
}

// claims is the program. An argv that is wrong has no value.
func claims(o *sensors.Options) []sensors.Claim {
	argv := o.List("argv")
	if len(argv) == 0 {
		return nil
	}
	return []sensors.Claim{{Kind: sensors.ProgramWire, Option: "argv", Path: argv[0]}}
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func check(o *sensors.Options) error {
	argv := o.List("argv")
	if program := argv[0]; !filepath.IsAbs(program) {
		advice := "write its absolute path"
		if found, err := exec.LookPath(program); err == nil && filepath.IsAbs(found) {
			advice = "write " + found
		}
		return &sensors.OptionError{Key: "argv", Err: fmt.Errorf("%q is not an absolute path: %s (the daemon's working directory is /)", program, advice)}
	}
	for name := range o.Map("env") {
		if !envName.MatchString(name) {
			return &sensors.OptionError{Key: "env", Err: fmt.Errorf("%q can't be the name of an environment variable: letters, digits and _", name)}
		}
	}
	return nil
}

// program is a configured program, ready to be run.
type program struct {
	env     sensors.Env
	argv    []string
	output  string
	dir     string
	environ []string
	account *syscall.Credential // nil: the daemon's own
	parser  parser
}

func open(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	o := e.Options()
	p := &program{env: e, argv: o.List("argv"), output: o.Text("output"), dir: o.Text("directory")}
	if err := p.exists(); err != nil {
		return nil, err
	}
	who, err := p.become(o.Text("user"))
	if err != nil {
		return nil, err
	}
	p.environ = environment(who, o.Map("env"))
	return p, nil
}

// exists tells a missing program from a program that fails, and does so when
// nothing is to be run yet.
func (p *program) exists() error {
	if info, err := os.Stat(p.dir); err != nil {
		return sensors.Errorf(sensors.Command, "directory: %w", err)
	} else if !info.IsDir() {
		return sensors.Errorf(sensors.Command, "directory: %s: %w", p.dir, syscall.ENOTDIR)
	}
	info, err := os.Stat(p.argv[0])
	switch {
	case err != nil:
		return sensors.Errorf(sensors.Command, "program: %w", err)
	case info.IsDir():
		return sensors.Errorf(sensors.Command, "program: %s: %w", p.argv[0], syscall.EISDIR)
	case info.Mode()&0o111 == 0:
		return sensors.Errorf(sensors.Command, "program: %s is not executable (chmod +x %s): %w", p.argv[0], p.argv[0], syscall.EACCES)
	}
	return nil
}

// become looks up who the program runs as. A nil user is one that /etc/passwd
// doesn't know: the daemon may run under a number that has no name.
func (p *program) become(name string) (*user.User, error) {
	if name == "" {
		own, err := user.LookupId(strconv.Itoa(os.Getuid()))
		if err != nil {
			return nil, nil
		}
		return own, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, sensors.Errorf(sensors.Command, "user %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, sensors.Errorf(sensors.Command, "user %s has the number %q: %w", name, u.Uid, err)
	}
	if int(uid) == os.Getuid() {
		return u, nil // setting groups would need privileges that nobody asks for
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, sensors.Errorf(sensors.Command, "user %s has the group %q: %w", name, u.Gid, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, sensors.Errorf(sensors.Command, "groups of user %s: %w", name, err)
	}
	p.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, id := range ids {
		g, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, sensors.Errorf(sensors.Command, "user %s is in the group %q: %w", name, id, err)
		}
		p.account.Groups = append(p.account.Groups, uint32(g))
	}
	return u, nil
}

// environment is what a program finds: the same under systemd, at a terminal
// and in a container.
func environment(who *user.User, own map[string]string) []string {
	all := map[string]string{"PATH": path, "LANG": "C.UTF-8", "HOME": "/"}
	if who != nil {
		all["HOME"], all["USER"], all["LOGNAME"] = who.HomeDir, who.Username, who.Username
	}
	for name, value := range own {
		all[name] = value
	}
	var list []string
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// Sense runs the program once. Exit status and duration are reported however
// it ended, also beside an error: of a task that failed they are the result.
func (p *program) Sense(ctx context.Context, r *sensors.Report) error {
	cmd := &exec.Cmd{
		Path: p.argv[0], Args: p.argv, Env: p.environ, Dir: p.dir,
		// A session of its own: signals of a terminal don't reach it, it can't
		// reach one, and its children are killed by the group's number.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: p.account},
	}
	ran, err := run(ctx, p.env, cmd, p.output != none)
	if err != nil {
		return err
	}
	err = p.judge(ran, r)
	r.Set(sensors.ExitStatus, float64(ran.status))
	r.Set(sensors.ExitDuration, ran.took.Seconds())
	return err
}

// judge reports what a run brought, or why it is a failure.
func (p *program) judge(ran *ran, r *sensors.Report) error {
	if ran.ended != nil {
		return ran.ended
	}
	if ran.status != 0 {
		return sensors.Errorf(sensors.Command, "%s %s%s", p.argv[0], ran.how(), ran.messages())
	}
	if words := ran.messages(); words != "" {
		p.env.Log().Debug("the program succeeded and had something to say", "program", p.argv[0], "messages", strings.TrimPrefix(words, ": "))
	}
	switch p.output {
	case number:
		v, err := parseNumber(ran.output)
		if err != nil {
			return fmt.Errorf("%s %w", p.argv[0], err)
		}
		r.Set(sensors.Number, v)
	case prometheus:
		if err := p.parser.parse(ran.output, r); err != nil {
			return fmt.Errorf("output of %s: %w", p.argv[0], err)
		}
	}
	return nil
}

// parseNumber reads the one number that a program printed.
func parseNumber(output []byte) (float64, error) {
	const most = 64 // longer is no number, and nothing to print in an error
	text := strings.TrimSpace(string(output[:min(len(output), most)]))
	switch {
	case len(output) > most:
		return 0, sensors.Errorf(sensors.Command, "printed %d bytes beginning %q where one number is meant: print only the number, or use output=prometheus or output=none", len(output), text)
	case text == "":
		return 0, sensors.Errorf(sensors.Command, "printed nothing where a number is meant: print one, or use output=none")
	}
	// An overflow gives an infinity besides its error.
	if v, _ := strconv.ParseFloat(text, 64); math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, sensors.Errorf(sensors.OutOfRange, "printed %q, which is no reading: print nothing and exit with a status where there is none", text)
	}
	v, err := sensors.None.Parse(text)
	if err != nil {
		return 0, sensors.Errorf(sensors.Command, "printed what is no number: %w", err)
	}
	return v, nil
}
