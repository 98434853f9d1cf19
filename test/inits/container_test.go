//go:build system

package inits

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/test/kit"
)

// An image is what packaging/container/Containerfile says of the process.
type image struct {
	env, argv []string
}

func readImage(t *testing.T) image {
	t.Helper()
	data, err := os.ReadFile(kit.Source("packaging/container/Containerfile"))
	kit.Must(t, err)
	var i image
	for line := range strings.Lines(string(data)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "ENV":
			i.env = append(i.env, strings.Fields(rest)...)
		case "ENTRYPOINT", "CMD":
			var argv []string
			kit.Must(t, json.Unmarshal([]byte(rest), &argv))
			i.argv = append(i.argv, argv...)
		}
	}
	if len(i.argv) < 2 || len(i.env) == 0 {
		t.Fatalf("the Containerfile gives %+v", i)
	}
	return i
}

// TestAContainer runs the program as the image does: process 1 of a root file
// system that holds nothing else, as a user of no name. There is no container
// engine in it, only the namespaces that one makes.
func TestAContainer(t *testing.T) {
	i := readImage(t)
	m := &machine{place: newPlace(t)}
	m.root = m.path("root")
	m.mount("image", m.root, "tmpfs", 0, "mode=0755")
	m.install(binary, "/dormouse", 0o755)
	m.inside("/etc/dormouse/dormouse.yml", "sensors: [{name: office, driver: sht4x, addr: 0x44}]\n")
	for _, dir := range []string{"proc", "dev", "run/dormouse", "var/lib/dormouse"} {
		kit.Must(t, os.MkdirAll(m.root+"/"+dir, 0o755))
	}
	for _, dir := range []string{"/run/dormouse", "/var/lib/dormouse"} {
		kit.Must(t, os.Chmod(m.root+dir, 0o1777))
	}
	m.inside("/dev/null", "")
	const enter = `cd "$0" && mount -t proc proc proc && mount --bind /dev/null dev/null && exec env -i "$@"`
	argv := append([]string{"unshare", "--mount", "--uts", "--ipc", "--net", "sh", "-c", enter, m.root}, i.env...)
	argv = append(argv, "/usr/sbin/chroot", "--userspec=65534:65534", ".")
	m.start("dormouse", append(append(argv, i.argv...), "--board=sim")...)
	m.host("nsenter", "-t", strconv.Itoa(m.leader), "-n", "ip", "link", "set", "lo", "up")

	status := m.procStatus(m.leader)
	if pids := strings.Fields(status["NSpid"]); pids[len(pids)-1] != "1" {
		t.Errorf("the program is process %v of its namespace", pids)
	}
	if !strings.HasPrefix(status["Uid"], "65534") {
		t.Errorf("it runs as user %s", status["Uid"])
	}
	m.scraped()
	m.settled("the log on standard error", func() error {
		if log := m.read("console"); !kit.Listening.MatchString(log) {
			return fmt.Errorf("it says %q", log)
		}
		return nil
	})

	m.inside("/etc/dormouse/dormouse.yml", "sensors: [{name: kitchen, driver: sht4x, addr: 0x44}]\n")
	kit.Must(t, syscall.Kill(m.leader, syscall.SIGHUP))
	kitchen := regexp.MustCompile(`sensor_temperature_celsius\{sensor="kitchen"\}`)
	m.settled("the reloaded sensor", func() error {
		page, err := m.page(t.Context())
		if err == nil && !kitchen.MatchString(string(page)) {
			err = fmt.Errorf("not on the page:\n%s", page)
		}
		return err
	})

	kit.Must(t, syscall.Kill(m.leader, syscall.SIGTERM))
	if err := m.boot.Wait(); err != nil {
		t.Errorf("after SIGTERM it ended with %v\n%s", err, m.read("console"))
	}
}
