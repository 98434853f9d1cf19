// Command waits is a poller with one sensor that waits 20 times 50 ms for
// conversions, for the benchmark: the daemon's own alarm, schedule and
// environment of drivers, without a page.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

type waiter struct{ env sensors.Env }

func (w waiter) Sense(ctx context.Context, r *sensors.Report) error {
	for range 20 {
		if err := w.env.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	r.Set(sensors.Temperature, 20)
	return nil
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: waits INTERVAL")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(every string) error {
	sensors.Register(&sensors.Driver{
		Name: "waits", Summary: "waits 20 times 50 ms", Datasheet: "none: a benchmark",
		Measures: []*sensors.Quantity{sensors.Temperature},
		New:      func(_ context.Context, e sensors.Env) (sensors.Sensor, error) { return waiter{e}, nil },
	})
	config, err := config.Load(config.Source{SensorFlags: []string{"it=waits"}, Every: every})
	if err != nil {
		return err
	}
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer clock.Close()
	poller, err := poll.New(poll.Options{Config: config, Board: sim.New(clock, 1), Clock: clock})
	if err != nil {
		return err
	}
	return poller.Run(context.Background())
}
