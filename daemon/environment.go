package daemon

import (
	"os"
	"slices"
	"strings"
)

// keptVariables are those a detached daemon inherits. The rest belongs to the
// starter's session: it may hold secrets, name sockets and terminals that go
// away, or change how libraries and children behave; daemon(7), step 4.
var keptVariables = []string{
	"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "TZDIR", "USER",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
	"CACHE_DIRECTORY", "CONFIGURATION_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY",
}

// supervisorVariables speak to one process, and aren't for its children:
// sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), systemd.exec(5).
var supervisorVariables = []string{
	"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID",
	"WATCHDOG_PID", "WATCHDOG_USEC", "SYSTEMD_EXEC_PID",
}

// safePath is what a daemon has where no PATH is set.
const safePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// cleanEnvironment is the environment of a detached daemon.
func (c *Context) cleanEnvironment(inherited []string, who *identity) []string {
	env := slices.DeleteFunc(slices.Clone(inherited), func(setting string) bool {
		key, _, _ := strings.Cut(setting, "=")
		return !strings.HasPrefix(key, "LC_") &&
			!slices.Contains(keptVariables, key) && !slices.Contains(c.KeepEnvironment, key)
	})
	if !slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, "PATH=") }) {
		env = append(env, "PATH="+safePath)
	}
	if who != nil {
		// The starter's own runtime directory and home are closed to the user.
		env = without(env, "HOME", "LOGNAME", "USER", "SHELL", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")
		env = append(env, "HOME="+who.Home, "LOGNAME="+who.Name, "USER="+who.Name)
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
