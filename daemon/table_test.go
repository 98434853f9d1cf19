package daemon

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The table of the package's documentation names each field of a Context once,
// with what New sets it to, and gives a reason where that isn't the PEP's default.
func TestTableOfAttributes(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(source), "//\tPEP 3143 ")
	if !ok {
		t.Fatal("there is no table")
	}
	defaults := reflect.ValueOf(*New("ticker"))
	var fields, attributes []string
	for line := range strings.Lines(table) {
		row, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			continue
		}
		cells := strings.Split(row, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 5 {
			t.Fatalf("not five cells: %q", row)
		}
		attribute, field, theirs, ours, reason := cells[0], cells[1], cells[2], cells[3], cells[4]
		fields = append(fields, field)
		if attribute != "-" {
			attributes = append(attributes, attribute)
		}
		value := defaults.FieldByName(field)
		if !value.IsValid() {
			t.Errorf("Context has no field %s", field)
			continue
		}
		if got := shown(value); got != ours {
			t.Errorf("New sets %s to %s, and the table says %s", field, got, ours)
		}
		if same := slices.Contains(python[theirs], ours); same != (reason == "") {
			t.Errorf("%s: %s in the PEP, %s here, the reason is %q", field, theirs, ours, reason)
		}
	}
	slices.Sort(fields)
	var want []string
	for _, f := range reflect.VisibleFields(defaults.Type()) {
		want = append(want, f.Name)
	}
	slices.Sort(want)
	if !slices.Equal(fields, want) {
		t.Errorf("the table has\n%v, and Context\n%v", fields, want)
	}
	// PEP 3143, "DaemonContext objects", in its order.
	if !slices.Equal(attributes, strings.Fields("files_preserve chroot_directory working_directory umask pidfile detach_process "+
		"signal_map uid gid prevent_core stdin stdout stderr")) {
		t.Errorf("the PEP's attributes are given as %v", attributes)
	}
}

// python has what the PEP's values are in Go.
var python = map[string][]string{"None": {"nil", `""`}, "'/'": {`"/"`}, "0": {"0"}, "True": {"true"}}

func shown(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case map[syscall.Signal]Event:
		return shownSignals(value)
	case time.Duration:
		return value.String()
	}
	switch v.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice, reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
	}
	return fmt.Sprint(v.Interface())
}

func shownSignals(signals map[syscall.Signal]Event) string {
	names := map[Event][]string{}
	for _, sig := range inOrder(signals) {
		names[signals[sig]] = append(names[signals[sig]], strings.TrimPrefix(unix.SignalName(sig), "SIG"))
	}
	words := map[Event]string{Ignore: "Ignore", Terminate: "Terminate", Reload: "Reload"}
	var parts []string
	for _, event := range []Event{Ignore, Terminate, Reload} {
		parts = append(parts, strings.Join(names[event], " ")+" "+words[event])
	}
	if len(names) != len(parts) {
		return "other events than those of the table"
	}
	return strings.Join(parts, ", ")
}
