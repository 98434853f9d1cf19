package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// defaults are the settings of sensors that have none of their own, by key.
type defaults map[string]setting

// inDefaults are the keys that the file's defaults may hold, besides labels.
var inDefaults = []string{"every", "at", "phase", "jitter", "timeout", "retries", "keep-failed", "warmup"}

// readDefaults reads the file's defaults; s is nil where it has none.
func readDefaults(r *report, s *stanza) defaults {
	d := defaults{}
	if s == nil {
		return d
	}
	seen := map[string]Origin{}
	for _, set := range s.Settings {
		set.Key = canonical(set.Key)
		if r.repeated(s, set, seen) {
			continue
		}
		if err := checkDefault(set); err != nil {
			r.reject(s, set, err)
			continue
		}
		d[set.Key] = set
	}
	at, isAt := d["at"]
	if _, ok := d["every"]; ok && isAt {
		r.reject(s, at, errEveryAndAt)
		delete(d, "at")
	} else if phase, ok := d["phase"]; ok && isAt {
		r.reject(s, phase, errPhaseAndAt)
		delete(d, "phase")
	}
	return d
}

func checkDefault(set setting) error {
	if name, ok := strings.CutPrefix(set.Key, "label."); ok {
		_, err := parseLabel(set, name, nil)
		return err
	}
	if set.Key == "label" || set.Key == "labels" {
		return errNoLabelName
	}
	if !slices.Contains(inDefaults, set.Key) {
		return fmt.Errorf("can't be a default: only %s and labels can%s", strings.Join(inDefaults, ", "), sensors.DidYouMean(set.Key, inDefaults))
	}
	_, err := parseCommon(set)
	return err
}

// readEvery takes --every, over which the file's defaults win.
func (d defaults) readEvery(r *report, text string) {
	if text == "" {
		return
	}
	set := setting{Key: "every", Text: text, Origin: Origin{Flag: "--every"}}
	if _, err := parseCommon(set); err != nil {
		r.add(set.Origin, "", "", err)
		return
	}
	_, every := d["every"]
	_, at := d["at"]
	if !every && !at {
		d["every"] = set
	}
}

var (
	errEveryAndAt = errors.New("every and at are both given: give one of them")
	errPhaseAndAt = errors.New("has no effect with at: change the cron expression instead")
)

// parseCommon parses a setting of one of the common options; at becomes a *Cron.
func parseCommon(set setting) (any, error) {
	text, err := set.Plain()
	if err != nil {
		return nil, err
	}
	if set.Key == "at" {
		return ParseCron(text)
	}
	opt, _ := sensors.CommonOption(set.Key)
	return opt.Parse(text)
}
