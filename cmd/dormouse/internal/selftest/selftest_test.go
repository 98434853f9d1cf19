package selftest

import "testing"

func TestNamesAreLeftOut(t *testing.T) {
	for _, tt := range []struct{ text, name, want string }{
		{"program a: /opt/a/run failed, as a does.", "a", "program NAME: /opt/NAME/run failed, as NAME does."},
		{"a", "a", "NAME"},
		{"kitchen-2 and kitchen (GPIO4)", "kitchen", "kitchen-2 and NAME (GPIO4)"},
		{"axb a.b", "a.b", "axb NAME"},
	} {
		if got := withoutName(tt.text, tt.name); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
