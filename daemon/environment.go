package daemon

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// keptVariables are those a detached daemon inherits, besides LC_*. The rest
// belongs to the starter's session: it may hold secrets, name sockets, terminals
// and directories that go away, or change how libraries and children behave;
// daemon(7), step 4.
var keptVariables = []string{"LANG", "LANGUAGE", "TZ"}

// supervisorVariables speak to one process, and aren't for its children:
// sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), systemd.exec(5).
var supervisorVariables = []string{
	"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID",
	"WATCHDOG_PID", "WATCHDOG_USEC", "SYSTEMD_EXEC_PID",
}

// safePath is a daemon's PATH: the starter's may lead to a directory of theirs, or
// onto a file system that is unmounted later.
const safePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// cleanEnvironment is the environment of a detached daemon, which runs as who, or
// as this process's user where that is nil.
func (c *Context) cleanEnvironment(inherited []string, who *identity) []string {
	env := slices.DeleteFunc(slices.Clone(inherited), func(setting string) bool {
		key, _, _ := strings.Cut(setting, "=")
		return !strings.HasPrefix(key, "LC_") &&
			!slices.Contains(keptVariables, key) && !slices.Contains(c.KeepEnvironment, key)
	})
	var own []string
	name, home := "", "/"
	if who != nil {
		name, home = who.Name, who.Home
	} else if account, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		name, home = account.Username, account.HomeDir
	}
	own = append(own, "PATH="+safePath, "HOME="+home)
	if name != "" {
		own = append(own, "LOGNAME="+name, "USER="+name)
	}
	for _, setting := range own {
		key, _, _ := strings.Cut(setting, "=")
		if !slices.Contains(c.KeepEnvironment, key) {
			env = append(env, setting)
		}
	}
	return c.withSettings(env)
}

// withSettings lets Context.Environment win.
func (c *Context) withSettings(env []string) []string {
	return append(without(env, append(c.privateVariables(), stageVariable)...), c.Environment...)
}

// privateVariables are the names of Context.Environment.
func (c *Context) privateVariables() []string {
	var names []string
	for _, setting := range c.Environment {
		name, _, _ := strings.Cut(setting, "=")
		names = append(names, name)
	}
	return names
}

// hasSettings tells whether Context.Environment is in force.
func (c *Context) hasSettings() bool {
	return !slices.ContainsFunc(c.Environment, func(setting string) bool {
		name, value, _ := strings.Cut(setting, "=")
		now, ok := os.LookupEnv(name)
		return !ok || now != value
	})
}

func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return slices.Contains(names, name)
	})
}
