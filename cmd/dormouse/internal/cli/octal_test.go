package cli

import (
	"strings"
	"testing"
)

func TestOctal(t *testing.T) {
	var o Octal
	if err := o.Set("027"); err != nil || o != 0o27 || o.String() != "027" {
		t.Errorf("027 became %v, %v", o, err)
	}
	for _, wrong := range []string{"", "8", "1777", "-1", "rw"} {
		if err := o.Set(wrong); err == nil || !strings.Contains(err.Error(), "022") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
