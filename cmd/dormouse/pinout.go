package main

import (
	"io"
	"os"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors/board"
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
		clock, err := alarm.New()
		if err != nil {
			return err
		}
		defer clock.Close()
		inspector, _ := openBoard(s.board, clock).(board.Inspector)
		if err := pinout.New(cfg, inspector).WriteText(stdout, wantsColour(stdout)); err != nil {
			return err
		}
		return configErr
	}
}

// wantsColour tells whether w is a terminal whose user wants colours: NO_COLOR
// is that of no-color.org.
func wantsColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
