package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// message is what the leader and the daemon tell the starter, through a pipe, one
// JSON object each. One of its fields is set.
type message struct {
	PID     int    `json:",omitempty"`
	Step    *step  `json:",omitempty"`
	Warning string `json:",omitempty"`
	Ready   bool   `json:",omitempty"`
	Error   string `json:",omitempty"`
	Code    int    `json:",omitempty"` // with Error
	Field   string `json:",omitempty"` // with Error: the field of Context that it comes from
}

// step is one thing done on the way to a daemon, and why.
type step struct{ What, Why string }

func (s step) print(w io.Writer) {
	if w != nil {
		// Who explains to a closed terminal explains to nobody.
		_, _ = fmt.Fprintf(w, "- %s\n    because %s\n", s.What, s.Why)
	}
}

// reporter is the daemon's end of the pipe; nil where there is no starter.
type reporter struct {
	pipe    *os.File
	explain bool
}

// send tells the starter. A starter that is gone can't be told; what happens
// then is for the daemon's log.
func (r *reporter) send(m message) {
	if r == nil || r.pipe == nil {
		return
	}
	if m.Step != nil && !r.explain {
		return
	}
	_ = json.NewEncoder(r.pipe).Encode(m)
}

func (r *reporter) step(what, why string) { r.send(message{Step: &step{what, why}}) }

func (r *reporter) fail(err error) {
	m := message{Error: err.Error(), Code: ExitCode(err)}
	if field, ok := errors.AsType[*FieldError](err); ok {
		m.Field = field.Field
	}
	r.send(m)
}

func (r *reporter) close() {
	if r != nil && r.pipe != nil {
		_ = r.pipe.Close() // a pipe has nothing left to write
		r.pipe = nil
	}
}
