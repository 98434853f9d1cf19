//go:build system

package python

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// TestHooks has docs/commands.md's example send its mail and call its webhook, by
// the shell and curl; where mail goes a program keeps what it is given.
func TestHooks(t *testing.T) {
	kit.Must(t, rig.Install(t.Context(), "curl"))
	dir := t.TempDir()
	calls := make(chan string, 10)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	kit.Must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- fmt.Sprintf("%s %s name=%s", r.Method, r.URL.Path, r.PostFormValue("name"))
	})}
	go server.Serve(listener)
	t.Cleanup(func() { _ = server.Close() }) // with what curl left open

	inbox, sendmail, task, ready := filepath.Join(dir, "inbox"), filepath.Join(dir, "sendmail"), filepath.Join(dir, "backup"), filepath.Join(dir, "ready")
	script := func(path, text string) { kit.Must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755)) }
	script(sendmail, fmt.Sprintf("{ echo \"To: $1\"; cat; } > %s.new && mv %[1]s.new %[1]s\n", inbox))
	script(task, fmt.Sprintf("echo copying; test -e %s || { echo 'the disk is full' >&2; exit 3; }\n", ready))
	text, err := os.ReadFile(kit.Source("docs/commands.md"))
	kit.Must(t, err)
	_, example, _ := strings.Cut(string(text), "## After a failure\n")
	_, example, _ = strings.Cut(example, "```yaml\n")
	example, _, _ = strings.Cut(example, "```\n")
	config := strings.NewReplacer("/usr/local/bin/backup.py", task, "/usr/sbin/sendmail", sendmail,
		"https://hooks.example.org", "http://"+listener.Addr().String(), "every: 1d", "every: 1s").Replace(example)
	for _, given := range []string{task, sendmail, listener.Addr().String(), "every: 1s"} {
		if !strings.Contains(config, given) {
			t.Fatalf("the example has no place for %s:\n%s", given, example)
		}
	}
	file := filepath.Join(dir, "dormouse.yml")
	kit.Must(t, os.WriteFile(file, []byte(config), 0o644))
	_, said := start(t, kit.Executable(t, "./cmd/dormouse"), "run", "--config.file="+file, "--state.directory="+dir, "--web.listen-address=127.0.0.1:0")

	kit.Eventually(t, func() error {
		file, err := os.Open(inbox)
		if err != nil {
			return fmt.Errorf("no mail has come: %w\n%s", err, said)
		}
		defer file.Close()
		m, err := mail.ReadMessage(file)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(m.Body)
		if err != nil {
			return err
		}
		if to, subject := m.Header.Get("To"), m.Header.Get("Subject"); to != "root" || subject != "backup failed" ||
			!strings.Contains(string(body), "status 3") || !strings.Contains(string(body), "\nthe disk is full\ncopying\n") {
			t.Errorf("the mail is to %q about %q:\n%s", to, subject, body)
		}
		return nil
	})
	if len(calls) > 0 {
		t.Errorf("before it has recovered: %s", <-calls)
	}
	kit.Must(t, os.WriteFile(ready, nil, 0o644))
	kit.Eventually(t, func() error {
		select {
		case call := <-calls:
			if call != "POST /well name=backup" {
				t.Errorf("the webhook was called by %s", call)
			}
			return nil
		default:
			return fmt.Errorf("the webhook isn't called:\n%s", said)
		}
	})
}
