//go:build system

package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// A browser is a headless Chromium that is driven by the WebDriver protocol
// (https://www.w3.org/TR/webdriver2/).
type browser struct {
	testing.TB
	session string // its URL
}

// newBrowser starts Debian's Chromium, which it installs.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	kit.Must(t, rig.Install(ctx, "chromium", "chromium-driver", "fonts-dejavu-core"))
	driver := exec.Command("chromedriver", "--port=0")
	driver.Env = append(os.Environ(), "HOME="+t.TempDir(), "TMPDIR="+t.TempDir())
	out, err := driver.StdoutPipe()
	kit.Must(t, err)
	kit.Must(t, driver.Start())
	t.Cleanup(func() {
		_ = driver.Process.Kill() // it may have ended
		_ = driver.Wait()         // the kill is its error
	})
	port := ""
	said := bufio.NewScanner(out)
	for port == "" && said.Scan() {
		if m := regexp.MustCompile(`started successfully on port (\d+)`).FindStringSubmatch(said.Text()); m != nil {
			port = m[1]
		}
	}
	if port == "" {
		t.Fatal("chromedriver said no port")
	}
	go func() {
		for said.Scan() { // so that it never waits to be read
		}
	}()
	patience := int(kit.Patience.Milliseconds())
	b := &browser{TB: t, session: "http://127.0.0.1:" + port + "/session"}
	var created struct{ SessionID string }
	b.call("", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome",
		"timeouts":    map[string]int{"pageLoad": patience, "script": patience},
		"goog:chromeOptions": map[string]any{
			"binary": "/usr/bin/chromium",
			"args":   []string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"},
		},
		"goog:loggingPrefs": map[string]string{"browser": "ALL", "performance": "ALL"},
	}}}, &created)
	b.session += "/" + created.SessionID
	t.Cleanup(func() { b.end() })
	return b
}

func (b *browser) end() {
	r, err := http.NewRequest(http.MethodDelete, b.session, nil)
	kit.Must(b, err)
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
	}
}

// call posts to the session; into, if it isn't nil, gets the value.
func (b *browser) call(path string, body, into any) {
	b.Helper()
	data, err := json.Marshal(body)
	kit.Must(b, err)
	response, err := http.Post(b.session+path, "application/json", bytes.NewReader(data))
	kit.Must(b, err)
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	kit.Must(b, json.NewDecoder(response.Body).Decode(&answer))
	if response.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s: %s", path, response.Status, answer.Value)
	}
	if into != nil {
		kit.Must(b, json.Unmarshal(answer.Value, into))
	}
}

// command runs a command of the browser's own protocol.
func (b *browser) command(name string, parameters map[string]any) {
	b.Helper()
	b.call("/goog/cdp/execute", map[string]any{"cmd": name, "params": parameters}, nil)
}

// setWindow sets the width of the window and its colour scheme.
func (b *browser) setWindow(width int, scheme string) {
	b.Helper()
	b.command("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
	b.command("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

func (b *browser) open(url string) {
	b.Helper()
	b.call("/url", map[string]string{"url": url}, nil)
}

// run runs the body of a function in the page and decodes what it returns.
func (b *browser) run(script string, into any) {
	b.Helper()
	b.call("/execute/sync", map[string]any{"script": script, "args": []any{}}, into)
}

// press presses a key.
func (b *browser) press(key string) {
	b.Helper()
	b.call("/actions", map[string]any{"actions": []map[string]any{{"type": "key", "id": "keyboard", "actions": []map[string]string{
		{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}}}}}, nil)
}

// screenshot keeps the whole page's picture below dist/screenshots.
func (b *browser) screenshot(name string) {
	b.Helper()
	height := 0
	b.run(`return document.documentElement.scrollHeight`, &height)
	width := 0
	b.run(`return innerWidth`, &width)
	b.command("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	response, err := http.Get(b.session + "/screenshot")
	kit.Must(b, err)
	defer response.Body.Close()
	var answer struct{ Value string }
	kit.Must(b, json.NewDecoder(response.Body).Decode(&answer))
	picture, err := base64.StdEncoding.DecodeString(answer.Value)
	kit.Must(b, err)
	if len(picture) < 1000 {
		b.Errorf("the screenshot %s has %d bytes", name, len(picture))
	}
	directory := kit.Source("dist/screenshots")
	kit.Must(b, os.MkdirAll(directory, 0o755))
	kit.Must(b, os.WriteFile(filepath.Join(directory, name+".png"), picture, 0o644))
}

// requests are the URLs that the browser has requested since the last call, and
// what it has complained of.
func (b *browser) requests() (urls, complaints []string) {
	b.Helper()
	var events, console []struct{ Message string }
	b.call("/se/log", map[string]string{"type": "performance"}, &events)
	b.call("/se/log", map[string]string{"type": "browser"}, &console)
	for _, e := range events {
		var event struct {
			Message struct {
				Method string
				Params struct{ Request struct{ URL string } }
			}
		}
		kit.Must(b, json.Unmarshal([]byte(e.Message), &event))
		if url := event.Message.Params.Request.URL; event.Message.Method == "Network.requestWillBeSent" && !strings.HasPrefix(url, "data:") {
			urls = append(urls, url)
		}
	}
	for _, c := range console {
		complaints = append(complaints, fmt.Sprint(c.Message))
	}
	return urls, complaints
}
