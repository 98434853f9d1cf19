package cli

import "testing"

// Examples stay as they are typed, and nothing of a text is taken for a request.
func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"Read --plan.":                     `Read \-\-plan.`,
		"one\n\ntwo\n.three\n'four' \\n":   "one\n.PP\ntwo\n\\&.three\n\\&'four' \\en",
		"\n\nExamples:\n\n\ta -b\n\tc  #d": "Examples:\n.PP\n.RS 4\n.nf\na \\-b\nc  #d\n.fi\n.RE",
		"\ta\nb":                           ".RS 4\n.nf\na\n.fi\n.RE\nb",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
