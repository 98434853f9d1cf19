package main

import (
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/cli"
	"example.org/dormouse/sensors/pinout"
)

var pinoutCommand = &command{
	name:    "pinout",
	summary: "Draw the 40-pin header with what is wired to each pin.",
	details: `Conflicts are listed below it: a line that is used twice, that has another function at present, or that another program holds. An invalid configuration is drawn as far as it is valid; then the exit status is 6.`,
	examples: `
dormouse pinout
dormouse pinout --config.file=dormouse.yml`,
	define: definePinout,
}

func definePinout(c *kingpin.CmdClause) action {
	s := &settings{}
	s.wiringFlags(c)
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		cfg, configErr, err := s.Draft()
		if err != nil {
			return err
		}
		inspector, clock, err := s.inspector()
		if err != nil {
			return err
		}
		defer clock.Close()
		if err := pinout.New(cfg, inspector).WriteText(stdout, cli.WantsColour(stdout)); err != nil {
			return err
		}
		return configErr
	}
}
