package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Tasks in flags and in the file are the same, and the same as a sensor of the
// driver task.
func TestTasks(t *testing.T) {
	flags, err := Load(Source{TaskFlags: []string{`backup=/home/pi/backup.py,at="30 3 * * *",catch-up=1d`, `tidy="/bin/rm -r '/tmp/a b'",every=1h`}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"tasks": `tasks:
  - {name: backup, argv: [/home/pi/backup.py], at: "30 3 * * *", catch-up: 1d}
  - {name: tidy, argv: [/bin/rm, -r, "/tmp/a b"], every: 1h}
`,
		"words": `tasks:
  - {name: backup, argv: /home/pi/backup.py, at: "30 3 * * *", catch-up: 1d}
  - {name: tidy, argv: "/bin/rm -r '/tmp/a b'", every: 1h}
`,
		"sensors": `sensors:
  - {name: backup, driver: task, argv: [/home/pi/backup.py], at: "30 3 * * *", catch-up: 1d}
  - {name: tidy, driver: task, argv: [/bin/rm, -r, "/tmp/a b"], every: 1h}
`,
	} {
		file, err := Load(Source{File: "f", Data: []byte(data)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, s := range flags.Sensors {
			if !s.Options.Equal(file.Sensors[i].Options) || !s.SameDevice(file.Sensors[i]) {
				t.Errorf("%s: %s differs", name, s.Name)
			}
			if diff := cmp.Diff(s.Schedule, file.Sensors[i].Schedule, same); diff != "" {
				t.Errorf("%s: %s: %s", name, s.Name, diff)
			}
		}
	}
	backup, tidy := flags.Sensors[0], flags.Sensors[1]
	if backup.Driver.Name != "task" || backup.Schedule.At.String() != "30 3 * * *" || backup.Schedule.CatchUp != 24*time.Hour || backup.Timeout != 10*time.Minute {
		t.Errorf("%+v", backup)
	}
	if got := backup.Schedule.String(); got != "at 30 3 * * *, catch-up 1d" {
		t.Errorf("the schedule in words is %q", got)
	}
	if argv := tidy.Options.List("argv"); !slices.Equal(argv, []string{"/bin/rm", "-r", "/tmp/a b"}) {
		t.Errorf("argv %q", argv)
	}
	if flags.WaitForTasks {
		t.Error("tasks are waited for unasked")
	}
}

func TestWrongTasks(t *testing.T) {
	for _, tt := range []struct{ data, want string }{
		{"tasks: [{name: a, argv: [/bin/true]}]", `f:1: task a: every: or at is missing: say when the task is run, as in every=1h or at="30 3 * * *"`},
		{"tasks: [{name: a, every: 1h}]", "f:1: task a: argv: is missing: the program and its arguments"},
		{"tasks: [{argv: [/bin/true], every: 1h}]", "f:1: task 1: name: is missing"},
		{"tasks: [{name: a, argv: [/bin/true], every: 1h, driver: task}]", "f:1: task a: driver: "},
		{"tasks: [{name: a, argv: [/bin/true], every: 1h, catch-up: 1d}]", "f:1: task a: catch-up: needs at: what has an interval is run when the daemon starts"},
		{"tasks: [{name: a, argv: [/bin/true], at: '@daily', catch-up: 1d}]", "f:1: task a: at: \"@daily\" isn't five fields"},
		{"tasks: {a: /bin/true}", "f:1: tasks: is a list, each task an item: - {name: …, argv: …}"},
		{"tasks: [/bin/true]", "f:1: task 1: is not a mapping: write - {name: …, argv: …}"},
		{"stop-tasks: kill\ntasks: [{name: a, argv: [/bin/true], every: 1h}]", "f:1: stop-tasks: is neither wait nor term: "},
		{"stop-tasks: [wait]\ntasks: [{name: a, argv: [/bin/true], every: 1h}]", "f:1: stop-tasks: is neither wait nor term: "},
		{"tasks: [{name: a, argv: [/bin/true], every: 1h}]\nsensors: [{name: a, driver: thermal}]", "there are two of this name"},
	} {
		_, err := Load(Source{File: "f", Data: []byte(tt.data)})
		if err != nil && strings.Contains(tt.data, "@daily") && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: one mistake is reported as several: %v", tt.data, err)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.data, err, tt.want)
		}
	}
	for flag, want := range map[string]string{
		"backup":                                "is not NAME=PROGRAM[,KEY=VALUE]…",
		"backup=":                               "argv: ",
		"backup=/bin/true":                      "every: or at is missing",
		"=/bin/true,every=1h":                   "name",
		"a=/bin/true,every=1h,at=\"* * * * *\"": "every and at",
	} {
		if _, err := Load(Source{TaskFlags: []string{flag}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", flag, err, want)
		}
	}
}

// The defaults' interval is one: of the file, or of --every.
func TestTasksTakeDefaults(t *testing.T) {
	for _, src := range []Source{
		{File: "f", Data: []byte("defaults: {every: 2h}\ntasks: [{name: a, argv: [/bin/true]}]")},
		{TaskFlags: []string{"a=/bin/true"}, Every: "2h"},
	} {
		c, err := Load(src)
		if err != nil || c.Sensors[0].Schedule.Every != 2*time.Hour {
			t.Errorf("%v, %v", c, err)
		}
	}
	c, err := Load(Source{File: "f", Data: []byte("stop-tasks: wait\ntasks: [{name: a, argv: [/bin/true], every: 1h}]")})
	if err != nil || !c.WaitForTasks {
		t.Errorf("%+v, %v", c, err)
	}
}
