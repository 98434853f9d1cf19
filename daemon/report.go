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

// step is one thing done on the way to a daemon.
type step struct {
	Topic  string // the name of a topic
	What   string
	Why    string // empty: as the topic says
	Choice string // what was decided here, and by what
}

const explainHeader = "Each step, why it is taken, and the choice that was made. § is the section of " + Document + ".\n"

func (s step) print(w io.Writer) {
	if w == nil {
		return
	}
	t := topicOf(s.Topic)
	why := s.Why
	if why == "" {
		why = t.Why
	}
	// A closed terminal takes no explanation, and is no reason to fail.
	_, _ = fmt.Fprintf(w, "%s %s: %s\n    why:    %s\n    choice: %s\n", t.section(), t.Name, s.What, why, s.Choice)
}

// reporter tells the starter by a pipe, or explains by itself where the process
// wasn't detached; nil where there is nobody to tell.
type reporter struct {
	pipe    *os.File
	explain bool      // the starter wants to know of steps
	writer  io.Writer // explains here; nil: not
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

// step explains a step by its topic's reason.
func (r *reporter) step(topic, what, choice string) {
	r.explainStep(step{Topic: topic, What: what, Choice: choice})
}

func (r *reporter) explainStep(s step) {
	if r == nil {
		return
	}
	s.print(r.writer)
	r.send(message{Step: &s})
}

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
