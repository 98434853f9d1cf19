// Package config reads the --sensor and --rail flags and the YAML file into one
// Config: every value validated, every default filled in, with every problem
// reported at once, each with its place and what to do about it. It parses cron
// expressions and finds conflicts between sensors.
//
// It opens nothing: the caller has read the file. It knows no chip: what a
// sensor's options mean its driver declares in package sensors.
package config
