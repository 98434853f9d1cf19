package all

import (
	"os/exec"
	"strings"
	"testing"
)

// A driver needs no configuration: whoever builds on one gets neither a YAML
// nor a cron parser with it.
func TestDriversAreFreeOfTheConfiguration(t *testing.T) {
	for _, drivers := range []string{"chips", "lines", "kernel", "command"} {
		out, err := exec.Command("go", "list", "-deps", "example.org/dormouse/sensors/"+drivers).Output()
		if err != nil {
			t.Fatal(err)
		}
		deps := strings.Fields(string(out))
		if len(deps) < 20 {
			t.Fatalf("go list names only %d dependencies of %s", len(deps), drivers)
		}
		for _, d := range deps {
			for _, unwanted := range []string{"yaml", "gronx", "cron", "dormouse/sensors/config", "dormouse/sensors/board", "dormouse/sensors/poll"} {
				if strings.Contains(d, unwanted) {
					t.Errorf("sensors/%s depends on %s", drivers, d)
				}
			}
		}
	}
}
