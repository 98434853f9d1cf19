// Package syntax takes the configuration file and the flags apart into stanzas,
// which are the common form of both: names, keys and texts, each with the place
// where it is written. What they mean package config knows.
package syntax

// TaskDriver is the driver of what is written as a task.
const TaskDriver = "task"
