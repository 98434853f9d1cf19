package sensors

// maxWindow bounds a filter's memory and its delay.
const maxWindow = 99

// The keys that every sensor takes, with their defaults.
var commonOptions = []Option{
	{Name: "every", Type: DurationOption, Default: "5m", Range: &Range{1, 366 * 86400}, Help: "time from one read to the next, at least 1s"},
	{Name: "at", Type: TextOption, Help: `cron expression, in local time, instead of every: "30 3 * * *"`},
	{Name: "phase", Type: DurationOption, Default: "0s", Help: "offset of the reads of every; less than every"},
	{Name: "jitter", Type: DurationOption, Default: "0s", Help: "delays the reads by a fixed time below this one, which differs between machines; less than every, or up to 24h with at"},
	{Name: "timeout", Type: DurationOption, Default: "10s", Range: &Range{0.01, 366 * 86400}, Help: "time that one attempt may take"},
	// A disturbed transfer is usually right at the next try, which costs
	// milliseconds; a read that fails three times has another cause.
	{Name: "retries", Type: IntegerOption, Default: "2", Range: &Range{0, 10}, Help: "further attempts when a read fails"},
	{Name: "keep-failed", Type: IntegerOption, Default: "0", Range: &Range{0, 1000}, Help: "failed reads in a row during which the last good readings are kept"},
	{Name: "power", Type: TextOption, Help: "rail, or line that switches the supply: up only while the sensor is read"},
	{Name: "warmup", Type: DurationOption, Default: "0s", Range: &Range{0, 3600}, Help: "time from power-up to the first transaction"},
	{Name: "quantity", Type: EnumOption, Help: "what is measured, if it is not what the driver reports"},
	{Name: "label.NAME", Type: TextOption, Help: "label of every reading"},
	{Name: "calibrate.offset", Type: NumberOption, Help: "added to the reading, after the scale"},
	{Name: "calibrate.scale", Type: NumberOption, Help: "the reading is multiplied by it"},
	{Name: "calibrate.points", Type: ListOption, Help: `read and true values: "2.8:0 1.2:1"`},
	{Name: "calibrate.beyond", Type: EnumOption, Choices: []string{"extrapolate", "clamp", "error"}, Help: "what points do beyond their ends: extrapolate (by default), clamp or error"},
	{Name: "drop", Type: TextOption, Help: `range outside which a calibrated reading is dropped: "-20:50", "0:" or ":3V"`},
	{Name: "filter.median", Type: IntegerOption, Range: &Range{1, maxWindow}, Help: "median of this many reads, an odd number"},
	{Name: "filter.average", Type: IntegerOption, Range: &Range{1, maxWindow}, Help: "average of this many reads, after the median"},
	{Name: "clamp", Type: TextOption, Help: `range to which the result is cut: "0:1"`},
}

// CommonOptions lists the keys that every sensor takes besides its driver's,
// for help and documentation. A driver's option of the same name and type
// replaces the default of every, phase, timeout, retries, keep-failed or
// warmup; a quantity of its own replaces the common one.
func CommonOptions() []Option {
	all := make([]Option, 0, len(commonOptions))
	for _, o := range commonOptions {
		o, _ = CommonOption(o.Name)
		all = append(all, o)
	}
	return all
}

// CommonOption returns one of CommonOptions.
func CommonOption(name string) (Option, bool) {
	for _, o := range commonOptions {
		if o.Name == name {
			if name == "quantity" { // not in the table: the quantities are made at the same time
				o.Choices = QuantityNames()
			}
			return o, true
		}
	}
	return Option{}, false
}
