package daemon

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// questions are what somebody new to Unix asks, in the order in which the
// document answers them, with words that its heading and its answer must have.
var questions = []struct{ heading, answer string }{
	{"What a process is", "number|parent|/proc"},
	{"fork.*called once.*returns twice", "copied|shared|descriptors"},
	{"exec", "replaces|close on exec"},
	{"[Pp]rocess group.*session.*leader.*foreground", "setsid"},
	{"controlling terminal.*acquired.*two forks", "setsid.*refused|second fork|O_NOCTTY"},
	{"adopts the child.*parent exits", "process 1|ready"},
	{"descriptors are closed", "deleted file|pipe"},
	{"directory is changed", "fills up|unmounted|USB drive"},
	{"umask", "inherited|022"},
	{"SIGTTOU.*SIGTTIN.*SIGTSTP.*SIGHUP", "stop|hung up"},
	{"SIGCHLD.*SIGCLD.*zombies.*statuses", "wait|ignores"},
	{"System V init.*already done", "inittab|setsid|init\\.d"},
	{"SIGTERM", "SIGKILL|blocked|pause"},
	{"systemd changes", "READY=1|control group"},
	{"Go can't do.*fork without exec", "threads|three times"},
	{"[Rr]eleasing.*mount", "maps|this project's own|memfd_create"},
}

// parts are what each answer consists of, in this order.
var parts = []string{"**What it is.**", "**Why it is done.**", "**What goes wrong without it.**", "\n```sh", "\n```text\n", "**How it is done here.**"}

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", Document))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sections are the document's, by their numbers.
func sections(t *testing.T) (headings, texts []string) {
	t.Helper()
	for i, section := range strings.Split(document(t), "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		if title, ok := strings.CutPrefix(heading, fmt.Sprintf("%d. ", i+1)); ok {
			headings, texts = append(headings, title), append(texts, text)
		} else if heading != "Sources" {
			t.Errorf("section %d is headed %q", i+1, heading)
		}
	}
	return headings, texts
}

func TestDocumentAnswersEachQuestion(t *testing.T) {
	headings, texts := sections(t)
	if len(headings) < len(questions) {
		t.Fatalf("%d sections for %d questions", len(headings), len(questions))
	}
	for i, q := range questions {
		if !regexp.MustCompile(q.heading).MatchString(headings[i]) {
			t.Errorf("section %d is headed %q, want %q", i+1, headings[i], q.heading)
		}
		for word := range strings.SplitSeq(q.answer, "|") {
			if !regexp.MustCompile(`(?s)` + word).MatchString(texts[i]) {
				t.Errorf("section %d says nothing of %q", i+1, word)
			}
		}
	}
	for i, text := range texts[:len(texts)-1] { // the last is about programs to write
		rest := text
		for _, part := range parts {
			_, after, ok := strings.Cut(rest, part)
			if !ok {
				t.Errorf("section %d, %s, has no %q, or not in its place", i+1, headings[i], part)
			}
			rest = after
		}
		if !strings.Contains(rest, "](../daemon/") {
			t.Errorf("section %d, %s, points to no source file", i+1, headings[i])
		}
	}
}

// Whoever reads an explanation or an inspection finds its words in the section it
// names.
func TestDocumentHasEachTopic(t *testing.T) {
	_, texts := sections(t)
	for _, topic := range topics {
		if n := topic.Section; n < 1 || n > len(texts) || !strings.Contains(texts[n-1], "`"+topic.Name+"`") {
			t.Errorf("section %d doesn't name %q", n, topic.Name)
		}
	}
}

func TestDocumentNamesItsSources(t *testing.T) {
	text := strings.Join(strings.Fields(document(t)), " ")
	for _, want := range []string{"*first* edition of W. Richard Stevens, *Unix Network Programming* (1990), section 2.6",
		"*second* edition of that book, volume 1 (1998): `fork` on page 102; `daemon_init` and its second fork in section 12.4, page 335"} {
		if !strings.Contains(text, want) {
			t.Errorf("it doesn't say %q", want)
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sources {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(source, []byte("PEP 3143, release")) && !strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s: the PEP says nothing of mounts", file)
		}
	}
}

// The pictures are for light and dark pages, and say in words what they show.
func TestDocumentPictures(t *testing.T) {
	pictures := regexp.MustCompile(`!\[([^\]]+)\]\((\S+\.svg)\)`).FindAllStringSubmatch(document(t), -1)
	if len(pictures) != 2 {
		t.Errorf("%d pictures, want two", len(pictures))
	}
	for _, p := range pictures {
		data, err := os.ReadFile(filepath.Join("..", "docs", p[2]))
		if err != nil {
			t.Fatal(err)
		}
		var svg struct {
			Title string `xml:"title"`
			Desc  string `xml:"desc"`
			Style string `xml:"style"`
		}
		if err := xml.Unmarshal(data, &svg); err != nil {
			t.Errorf("%s: %v", p[2], err)
		}
		if svg.Title == "" || svg.Desc == "" || !strings.Contains(svg.Style, "@media (prefers-color-scheme: dark)") {
			t.Errorf("%s: it says %+v", p[2], svg)
		}
	}
}

// A demo is a block of commands and what they print.
type demo struct {
	needs    string // the block's second word: python3, utilities, namespaces, or nothing
	commands string
	prints   string
}

var fenced = regexp.MustCompile("(?ms)^```(\\w+) ?(\\w*)\n(.*?)^```$")

// demos takes the blocks out of the document.
func demos(t *testing.T) []demo {
	t.Helper()
	var all []demo
	for _, block := range fenced.FindAllStringSubmatch(document(t), -1) {
		switch last := len(all) - 1; {
		case block[1] == "sh":
			all = append(all, demo{needs: block[2], commands: block[3]})
		case block[1] == "text" && last >= 0 && all[last].prints == "":
			all[last].prints = block[3]
		default:
			t.Errorf("this block has no commands before it:\n%s", block[0])
		}
	}
	for _, d := range all {
		if d.prints == "" {
			t.Errorf("it isn't said what these print:\n%s", d.commands)
		}
	}
	return all
}

// What needs only a shell and the tools beside it is true when pasted.
func TestDocumentCommands(t *testing.T) {
	runDemos(t, "", nil)
}

// runDemos runs the demos that need the one thing, each as a script and pasted
// into an interactive shell.
func runDemos(t *testing.T, needs string, who *syscall.Credential) {
	t.Helper()
	ran := 0
	for i, d := range demos(t) {
		if d.needs != needs {
			continue
		}
		ran++
		for name, run := range map[string]func(*testing.T, *exec.Cmd, string) string{"script": asScript, "pasted": pasted} {
			t.Run(fmt.Sprintf("%d %s", i+1, name), func(t *testing.T) {
				place := t.TempDir()
				for _, dir := range []string{place, filepath.Dir(place)} {
					if err := os.Chmod(dir, 0o777); err != nil {
						t.Fatal(err)
					}
				}
				mark := fmt.Sprintf("DAEMON_DEMO=%d-%d-%s", os.Getpid(), i, name)
				cmd := &exec.Cmd{Dir: place, SysProcAttr: &syscall.SysProcAttr{Credential: who},
					Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TMPDIR=" + place, "HOME=" + place, mark, "PS1=", "PS2=", "HISTFILE="}}
				if got := run(t, cmd, d.commands); !d.matches(got) {
					t.Errorf("these commands print\n%sand not, as the document says,\n%s\n%s", got, d.prints, d.commands)
				}
				nothingLeft(t, mark, place)
			})
		}
	}
	if ran == 0 {
		t.Errorf("no command needs %q", needs)
	}
}

func asScript(t *testing.T, cmd *exec.Cmd, commands string) string {
	t.Helper()
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", commands}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = patience // for processes that it has left
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop() // ended by then, or hangs
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Errorf("the commands have ended: %v", err)
	}
	return out.String()
}

// pasted types the commands into bash on a terminal, as somebody does who reads
// the document.
func pasted(t *testing.T, cmd *exec.Cmd, commands string) string {
	t.Helper()
	master, slave := pty(t)
	mode, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Lflag &^= unix.ECHO
	mode.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	cmd.Path, cmd.Args = "/bin/bash", []string{"bash", "--norc", "--noprofile", "--noediting", "-i"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
	if _, err := io.WriteString(master, commands+"exit\n"); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	shown := make(chan string, 1)
	go func() {
		out, _ := io.ReadAll(master) // EIO where the other side is closed
		shown <- strings.TrimSuffix(string(out), "exit\n")
	}()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	select {
	case out := <-shown:
		if err := master.Close(); err != nil {
			t.Error(err)
		}
		return out
	case <-time.After(patience):
		return "something has the terminal open, though the shell has ended\n"
	}
}

var placeholder = regexp.MustCompile(`<(\w+)>`)

// matches compares what was printed with what the document says, where one name
// stands for one number everywhere.
func (d demo) matches(printed string) bool {
	var pattern strings.Builder
	var names []string
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(d.prints, -1) {
		pattern.WriteString(regexp.QuoteMeta(d.prints[at:m[0]]) + `(\d+)`)
		names = append(names, d.prints[m[2]:m[3]])
		at = m[1]
	}
	pattern.WriteString(regexp.QuoteMeta(d.prints[at:]))
	found := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(printed)
	if found == nil {
		return false
	}
	numbers, taken := map[string]string{}, map[string]string{}
	for i, name := range names {
		number := found[i+1]
		if was, ok := numbers[name]; ok && was != number {
			return false
		}
		if other, ok := taken[number]; ok && other != name {
			return false
		}
		numbers[name], taken[number] = number, name
	}
	return true
}

// nothingLeft looks for processes with the mark, which it ends, and for files.
func nothingLeft(t *testing.T, mark, place string) {
	t.Helper()
	left := marked(t, mark)
	for end := time.Now().Add(patience); len(left) > 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		left = marked(t, mark)
	}
	for _, pid := range left {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	files, err := os.ReadDir(place)
	if err != nil || len(left)+len(files) > 0 {
		t.Errorf("left behind: processes %v, files %v, %v", left, files, err)
	}
}

// marked are the processes with the mark in their environment.
func marked(t *testing.T, mark string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		env, _ := os.ReadFile(file) // another user's, or ended
		if !bytes.Contains(env, []byte(mark+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func TestDemoMatches(t *testing.T) {
	d := demo{prints: "was <a>, is <b>\nagain (<a>)\n"}
	for printed, want := range map[string]bool{
		"was 1, is 2\nagain (1)\n":   true,
		"was 1, is 2\nagain (2)\n":   false,
		"was 1, is 1\nagain (1)\n":   false,
		"was 1, is 2\nagain (1)\n\n": false,
		"was x, is 2\nagain (x)\n":   false,
	} {
		if got := d.matches(printed); got != want {
			t.Errorf("%q: %v", printed, got)
		}
	}
}
