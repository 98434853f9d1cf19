package config

import (
	"errors"
	"fmt"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// value is a common option as given, or else the driver's or the general
// default. A wrong one is reported, and the default stands for it.
func (d *sensorDraft) value(key string) any {
	opt, _ := sensors.CommonOption(key)
	if set, ok := d.common[key]; ok {
		v, err := parseCommon(set)
		if err == nil {
			return v
		}
		d.reject(d.stanza, set, err)
	} else if d.driver != nil {
		if own, err := d.driver.Option(key); err == nil && own.Default != "" {
			opt = own
		}
	}
	v, err := opt.Parse(opt.Default)
	if err != nil {
		panic(fmt.Sprintf("config: default of %s: %v", key, err)) // sensors.Register and a test have checked it
	}
	return v
}

// schedule reads the keys that say when the sensor is due.
func (d *sensorDraft) schedule(c *Sensor) {
	s := &c.Schedule
	if _, ok := d.common["at"]; ok {
		s.At, _ = d.value("at").(*Cron) // nil where it is wrong
		if phase, ok := d.common["phase"]; ok {
			d.reject(d.stanza, phase, errPhaseAndAt)
		}
	} else {
		if _, ok := d.common["every"]; !ok && d.stanza.Kind == "task" {
			d.add(d.stanza.Origin, d.stanza.Subject(), "every", errors.New(`or at is missing: say when the task is run, as in every=1h or at="30 3 * * *"`))
		}
		s.Every = d.value("every").(time.Duration)
		s.Phase = d.value("phase").(time.Duration)
		if s.Phase >= s.Every {
			d.reject(d.stanza, d.common["phase"], fmt.Errorf("%s isn't less than every, %s", duration.Format(s.Phase), duration.Format(s.Every)))
		}
	}
	s.Jitter = d.value("jitter").(time.Duration)
	if err := d.jitter(s); err != nil {
		d.reject(d.stanza, d.common["jitter"], err)
	}
}

// catchUp checks the option catch-up of programs, and puts it into the schedule,
// where poll finds it.
func (d *sensorDraft) catchUp(c *Sensor) {
	if c.Driver.Programs == nil || c.Options == nil {
		return
	}
	if _, err := c.Driver.Option("catch-up"); err != nil {
		return
	}
	c.Schedule.CatchUp = c.Options.Duration("catch-up")
	if _, given := d.common["at"]; c.Schedule.CatchUp > 0 && !given {
		d.add(d.origins["catch-up"], d.stanza.Subject(), "catch-up", errors.New("needs at: what has an interval is run when the daemon starts"))
	}
}

// reading reads the keys of a due read: its time limit, retries and warm-up.
func (d *sensorDraft) reading(c *Sensor) {
	c.Timeout = d.value("timeout").(time.Duration)
	c.Retries = d.value("retries").(int)
	c.KeepFailed = d.value("keep-failed").(int)
	c.Warmup = d.value("warmup").(time.Duration)
}

// power finds the rail that supplies the sensor, or makes one from a line.
func (d *sensorDraft) power(c *Sensor) {
	set, ok := d.common["power"]
	if !ok {
		if set, ok := d.common["warmup"]; ok && c.Warmup > 0 && d.stanza.Has("warmup") {
			d.warn(set.Origin, d.stanza.Subject(), "warmup", errors.New("has no effect without power: the sensor is always on"))
		}
		return
	}
	if d.driver != nil && d.driver.NoRail != "" {
		d.reject(d.stanza, set, fmt.Errorf("driver %s takes no rail: %s", d.driver.Name, d.driver.NoRail))
		return
	}
	text, err := set.Plain()
	if err != nil {
		d.reject(d.stanza, set, err)
		return
	}
	r, err := d.rails.supply(text, set.Origin)
	if err != nil {
		d.reject(d.stanza, set, err)
		return
	}
	c.Power, c.Rail = r.Name, r
	d.rails.used[r] = true
}

// String is the schedule in words: "every 5m, phase 30s", "at 30 3 * * *,
// catch-up 1d".
func (s Schedule) String() string {
	text := "every " + duration.Format(s.Every)
	if s.At != nil {
		text = "at " + s.At.String()
	}
	if s.Phase > 0 {
		text += ", phase " + duration.Format(s.Phase)
	}
	if s.Jitter > 0 {
		text += fmt.Sprintf(", jitter %s: %s later on this machine", duration.Format(s.Jitter), duration.Format(s.Moved))
	}
	if s.CatchUp > 0 {
		text += ", catch-up " + duration.Format(s.CatchUp)
	}
	return text
}
