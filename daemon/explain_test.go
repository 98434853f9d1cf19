package daemon

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var explained = regexp.MustCompile(`(?m)^§(\d+) ([^:]+): (.+)\n    why:    (.+)\n    choice: (.+)\n`)

// Each step says what, why and which choice was made, under the name and the
// section of its topic.
func TestExplain(t *testing.T) {
	h := newHelper(t)
	h.plan.Tell = true
	h.plan.ReleaseExecutable = ReleaseAlways
	h.plan.Directories = []string{h.dir}
	out, code := h.start()
	h.ready(out, code)
	steps, ok := strings.CutPrefix(out, explainHeader)
	if !ok {
		t.Fatalf("it doesn't begin with what the marks mean:\n%s", out)
	}
	if rest := explained.ReplaceAllString(steps, ""); strings.Contains(rest, "§") || !strings.HasPrefix(rest, "warning: ") && !strings.HasPrefix(rest, "ready ") {
		t.Errorf("besides the steps it says\n%s", rest)
	}
	var choices []string
	for _, step := range explained.FindAllStringSubmatch(steps, -1) {
		choices = append(choices, step[2])
		if topic := topicOf(step[2]); fmt.Sprint(topic.Section) != step[1] || topic.Why == "" {
			t.Errorf("%s isn't listed under its topic", step[0])
		}
	}
	for _, topic := range topics {
		// "mounts" follows from descriptors, executable and working directory; the
		// root directory is changed only where that is asked for.
		if !slices.Contains(choices, topic.Name) && topic.Name != aboutMounts && topic.Name != aboutRoot {
			t.Errorf("%s isn't explained", topic.Name)
		}
	}
	for _, want := range []string{"lock " + h.pidFile, "copy of the executable in memory", "022 is what the program asks for",
		"ignore SIGTTIN", "ignore SIGTTOU", "ignore SIGTSTP", "catch SIGHUP", "catch SIGTERM", "catch SIGINT", "catch SIGPIPE", "catch SIGUSR1", "no_new_privs"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// What goes on in place explains itself, once, also over an execution.
func TestExplainInPlace(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	h.plan.Tell = true
	h.plan.ReleaseExecutable, h.plan.NoNewPrivileges = ReleaseNever, false // other reasons for it
	// An ignored signal that Go's runtime leaves so is a reason to execute the
	// program again. This test may have inherited some, as from GNU make or nohup.
	dirty, err := dirtySignals()
	if err != nil {
		t.Fatal(err)
	}
	for _, ignoring := range []bool{true, false} {
		anew := ignoring || dirty
		if err := os.RemoveAll(h.log); err != nil {
			t.Fatal(err)
		}
		cmd := h.command()
		if ignoring {
			cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
		}
		var out strings.Builder
		cmd.Stdout = &out
		h.stay(cmd)
		h.finish(cmd)
		if n := strings.Count(out.String(), explainHeader); n != 1 {
			t.Errorf("it begins %d times:\n%s", n, out.String())
		}
		for _, want := range []string{"detaching: go on in this process", "(DetachNever)", "stay in the session", "change it to /",
			"don't ignore it", "report that the daemon works", "no starter waits: "} {
			if strings.Count(out.String(), want) != 1 {
				t.Errorf("anew %v: not one %q in\n%s", anew, want, out.String())
			}
		}
		if strings.Contains(out.String(), "execute the program again") != anew {
			t.Errorf("anew %v:\n%s", anew, out.String())
		}
	}
}

// An explanation and an inspection use the same words.
func TestInspectionIsOfTopics(t *testing.T) {
	got, err := Inspect(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	var looked []string
	for _, p := range got.Points {
		looked = append(looked, p.Name)
		if topic := topicOf(p.Name); topic.Section == 0 || p.Section != topic.Section || p.Why != topic.Why {
			t.Errorf("%+v isn't as its topic", p)
		}
	}
	// These leave nothing behind that could be seen from outside.
	unseen := []string{aboutDetaching, aboutDirectories, aboutPIDFile, aboutEnvironment, aboutExecution, aboutName, aboutRoot, aboutReadiness}
	for _, topic := range topics {
		if slices.Contains(looked, topic.Name) == slices.Contains(unseen, topic.Name) {
			t.Errorf("%s: looked at %v", topic.Name, slices.Contains(looked, topic.Name))
		}
	}
	var text strings.Builder
	if err := got.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^\w+ +§9 umask +\d{3}`).MatchString(text.String()) || !strings.HasSuffix(text.String(), "§ is the section of "+Document+".\n") {
		t.Errorf("as text:\n%s", text.String())
	}
}
