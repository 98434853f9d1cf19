package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/command/internal/promtext"
)

// A program is a configured program, ready to be run.
type program struct {
	env         sensors.Env
	argv        []string
	output      string // number, prometheus or none
	dir         string
	environ     []string // what every program finds
	environFile string   // read at each run; empty: none
	own         []string // the option env, which wins over both
	umask, nice int      // as launch has them
	killAfter   time.Duration
	account     *syscall.Credential // nil: the daemon's own
	parser      promtext.Parser
}

func openCommand(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	return open(e, e.Options().Text("output"))
}

func openTask(_ context.Context, e sensors.Env) (sensors.Sensor, error) { return open(e, none) }

func open(e sensors.Env, output string) (sensors.Sensor, error) {
	p, err := newProgram(e, e.Options().List("argv"))
	if err != nil {
		return nil, err
	}
	p.output = output
	if err := p.exists(); err != nil {
		return nil, err
	}
	return p, nil
}

// newProgram makes a program of argv that runs as the sensor's own does.
func newProgram(e sensors.Env, argv []string) (*program, error) {
	o := e.Options()
	p := &program{env: e, argv: argv, dir: o.Text("directory"), environFile: o.Text("environment-file"), umask: umaskOf(o), nice: o.Integer("nice"), killAfter: o.Duration("kill-after")}
	who, err := p.become(o.Text("user"))
	if err != nil {
		return nil, err
	}
	p.environ = environment(who)
	for name, value := range o.Map("env") {
		p.own = append(p.own, name+"="+value)
	}
	return p, nil
}

// exists tells a missing program from a program that fails, and does so when
// nothing is to be run yet.
func (p *program) exists() error {
	if info, err := os.Stat(p.dir); err != nil {
		return sensors.Errorf(sensors.Command, "directory: %w%s", err, whyMissing(p.dir, err))
	} else if !info.IsDir() {
		return sensors.Errorf(sensors.Command, "directory: %s: %w", p.dir, syscall.ENOTDIR)
	}
	info, err := os.Stat(p.argv[0])
	switch {
	case err != nil:
		return sensors.Errorf(sensors.Command, "program: %w%s", err, whyMissing(p.argv[0], err))
	case info.IsDir():
		return sensors.Errorf(sensors.Command, "program: %s: %w", p.argv[0], syscall.EISDIR)
	case info.Mode()&0o111 == 0:
		return sensors.Errorf(sensors.Command, "program: %s is not executable (chmod +x %s): %w", p.argv[0], p.argv[0], syscall.EACCES)
	}
	return nil
}

// whyMissing says where err may come from, as far as the path tells.
func whyMissing(path string, err error) string {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return ""
	}
	first, _, spaced := strings.Cut(path, " ")
	if info, err := os.Stat(first); spaced && err == nil && info.Mode().IsRegular() {
		return fmt.Sprintf(": %s is there: write its arguments as elements of their own, as in argv: [%[1]s, …]", first)
	}
	return hidden(path)
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
	u, account, err := lookUp(name)
	if err != nil {
		return nil, err
	}
	if account.UID == os.Getuid() {
		return u, nil // setting groups would need privileges that nobody asks for
	}
	p.account = &syscall.Credential{Uid: uint32(account.UID), Gid: uint32(account.GID)}
	for _, g := range account.Groups {
		p.account.Groups = append(p.account.Groups, uint32(g))
	}
	return u, nil
}

// lookUp finds a user with its groups.
func lookUp(name string) (*user.User, sensors.Account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, sensors.Account{}, sensors.Errorf(sensors.Command, "user %s: %w", name, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, sensors.Account{}, sensors.Errorf(sensors.Command, "groups of user %s: %w", name, err)
	}
	numbers := make([]int, 0, 2+len(ids))
	for _, id := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, sensors.Account{}, sensors.Errorf(sensors.Command, "user %s has the number %q: %w", name, id, err)
		}
		numbers = append(numbers, int(n))
	}
	return u, sensors.Account{UID: numbers[0], GID: numbers[1], Groups: numbers[2:]}, nil
}

// environment is what a program finds: the same under systemd, at a terminal
// and in a container.
func environment(who *user.User) []string {
	all := []string{"PATH=" + path, "LANG=C.UTF-8"}
	if who == nil {
		return append(all, "HOME=/")
	}
	return append(all, "HOME="+who.HomeDir, "USER="+who.Username, "LOGNAME="+who.Username)
}

// launch is how it is started now, with further variables.
func (p *program) launch(more ...string) (launch, error) {
	var fromFile []string
	if p.environFile != "" {
		var err error
		if fromFile, err = readEnvironment(p.environFile); err != nil {
			return launch{}, err
		}
	}
	environ := slices.Concat(p.environ, fromFile, p.own, more) // of several of one name os/exec takes the last
	return launch{killAfter: p.killAfter, umask: p.umask, nice: p.nice, cmd: &exec.Cmd{
		Path: p.argv[0], Args: p.argv, Env: environ, Dir: p.dir,
		// A session of its own: signals of a terminal don't reach it, it can't
		// reach one, and its processes are found by the session's number.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Credential: p.account},
	}}, nil
}

// Sense runs the program once. Exit status and duration are reported however
// it ended, also beside an error: of a task that failed they are the result.
func (p *program) Sense(ctx context.Context, r *sensors.Report) error {
	l, err := p.launch()
	if err != nil {
		return err
	}
	ran, err := run(ctx, p.env, l, p.output != none)
	if err != nil {
		return err
	}
	err = p.report(ran, r)
	r.Set(sensors.ExitStatus, float64(ran.status))
	r.Set(sensors.ExitDuration, ran.took.Seconds())
	text, cut := ran.said.text()
	r.SetRun(&sensors.Run{Began: ran.began, Took: ran.took, Status: ran.status, Output: text, Cut: cut, Digest: ran.said.digest(), Err: err})
	return err
}

// report reports what a run brought, or why it is a failure.
func (p *program) report(ran *ran, r *sensors.Report) error {
	words := ran.said.lastWords()
	switch {
	case ran.ended != nil:
		return withWords(ran.ended, words)
	case ran.status != 0:
		return withWords(sensors.Errorf(sensors.Command, "%s %s", p.argv[0], ran.how()), words)
	case words != "":
		p.env.Log().Debug("the program succeeded and wrote to its standard error", "program", p.argv[0], "messages", words)
	}
	switch p.output {
	case number:
		v, err := parseNumber(ran.output)
		if err != nil {
			return fmt.Errorf("%s %w", p.argv[0], err)
		}
		r.Set(sensors.Number, v)
	case prometheus:
		if err := p.parser.Parse(ran.output, r); err != nil {
			return fmt.Errorf("output of %s: %w", p.argv[0], err)
		}
	}
	return nil
}
