package all

import (
	"fmt"
	"os"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"golang.org/x/sys/unix"
)

// script is what the program of the command driver's case runs. It is a file
// in memory: the case stands before there is a test with a directory.
var script = func() *os.File {
	fd, err := unix.MemfdCreate("script", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	return os.NewFile(uintptr(fd), "script")
}()

func init() {
	options := func(output string) map[string]string {
		return map[string]string{
			"argv":   sensors.JoinList("/bin/sh", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), script.Fd())),
			"output": output,
		}
	}
	fault := func(name, text string) sensortest.Fault {
		return sensortest.Fault{Name: name, Break: func(*sensortest.Env) { write(text) }}
	}
	faults := []sensortest.Fault{
		fault("exits with a status", "echo 21.5; exit 1"),
		fault("is killed", "echo 21.5; kill -KILL $$"),
		fault("is no program", "\x00\x01\x02"),
		fault("prints garbage", "printf '\\377\\000\\n'"),
		fault("prints an error message", "echo sensor not found"),
		fault("floods", "yes"),
		fault("isn't there", "exec /no/such/program"),
	}
	readings := append(faults[:len(faults):len(faults)],
		fault("prints nothing", ""),
		fault("prints no number", "echo NaN"),
	)
	addCases(map[string][]sensortest.Case{
		"command": {
			{Options: options("number"), World: func(*sensortest.Env) { write("echo 21.5") }, Faults: readings},
			{Options: options("prometheus"), World: func(*sensortest.Env) { write(`echo 'x{a="1"} 21.5'`) }, Faults: append(readings,
				fault("prints half a page", `printf 'x{a="1"} 21.5\ny{a="1'`),
				fault("prints half a number", `printf 'x{a="1"} 21'`),
			)},
			{Options: options("none"), World: func(*sensortest.Env) { write("echo done") }, Faults: faults[:3]},
		},
		"task": {
			{Options: map[string]string{"argv": options("none")["argv"]}, World: func(*sensortest.Env) { write("echo done") }, Faults: faults[:3]},
		},
	})
}

func write(text string) {
	if err := script.Truncate(0); err != nil {
		panic(err)
	}
	if _, err := script.WriteAt([]byte(text+"\n"), 0); err != nil {
		panic(err)
	}
}
