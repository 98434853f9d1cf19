package sensortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// These tests count faults: all are tried, whatever thins them elsewhere.
func TestMain(m *testing.M) {
	if err := os.Unsetenv(ThinVariable); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// A recorder is a test that keeps its failures to itself.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// record runs f as a test of its own and returns its failures.
func record(t *testing.T, f func(tb testing.TB)) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return strings.Join(r.failures, "\n")
}

type senseFunc func(ctx context.Context, r *sensors.Report) error

func (f senseFunc) Sense(ctx context.Context, r *sensors.Report) error { return f(ctx, r) }

// faulty is a driver that reads register 1 in its own way.
func faulty(sense func(e sensors.Env) senseFunc) *sensors.Driver {
	return &sensors.Driver{
		Name:     "faulty",
		Options:  []sensors.Option{sensors.BusOpt(), sensors.AddrOpt("0x48")},
		Measures: []*sensors.Quantity{sensors.Temperature},
		New:      func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) { return sense(e), nil },
	}
}

func registers(e *Env) {
	var regs [256]byte
	copy(regs[1:], []byte{21, 0xee}) // 21 °C and its complement
	e.Bus = ByteRegisters(&regs)
}

// careful is a driver as it should be.
func careful(e sensors.Env) senseFunc {
	return func(ctx context.Context, r *sensors.Report) error {
		if err := e.Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
		var p [2]byte
		if err := e.I2C().Tx([]byte{1}, p[:]); err != nil {
			return err
		}
		if p != [2]byte{21, 0xee} {
			return errors.New("bad answer")
		}
		r.Set(sensors.Temperature, float64(p[0]))
		return nil
	}
}

func TestFaultsFindsTheFault(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sense func(e sensors.Env) senseFunc
		says  string // empty: nothing is to be found
	}{
		{"careful", careful, ""},
		{"takes silence for 0", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				var p [2]byte
				if err := e.Sleep(ctx, time.Millisecond); err != nil {
					return err
				}
				_ = e.I2C().Tx([]byte{1}, p[:])
				r.Set(sensors.Temperature, float64(p[0]))
				return nil
			}
		}, "transaction 0 isn't answered: gives temperature[] = 0"},
		// Of two equal bytes package board sees it by itself.
		{"takes a stuck bus for a value", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				if err := e.Sleep(ctx, time.Millisecond); err != nil {
					return err
				}
				var p [1]byte
				err := e.I2C().Tx([]byte{1}, p[:])
				if err == nil {
					r.Set(sensors.Temperature, float64(p[0]))
				}
				return err
			}
		}, "stuck at 0xFF from transaction 0 on: gives temperature[] = 255"},
		{"takes a flipped bit for a value", unchecked, "bit 0 of byte 0 of answer 0 flipped: gives temperature[] = 20"},
		{"ignores the context", func(e sensors.Env) senseFunc {
			read := careful(e)
			return func(_ context.Context, r *sensors.Report) error { return read(context.Background(), r) }
		}, "context ended before: the error is <nil>"},
		{"goes on after the context", func(e sensors.Env) senseFunc {
			read := careful(e)
			return func(ctx context.Context, r *sensors.Report) error {
				err := read(ctx, r)
				for range 2 {
					err = errors.Join(err, e.I2C().Tx([]byte{1}, make([]byte, 2)))
				}
				return err
			}
		}, "2 transactions after the context ended"},
		{"asks for ever", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				for e.I2C().Tx([]byte{1}, make([]byte, 2)) != nil {
				}
				return careful(e)(ctx, r)
			}
		}, "the driver reads without end"},
		{"waits for ever", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				if e.I2C().Tx([]byte{1}, make([]byte, 2)) != nil {
					return e.Poll(ctx, 1<<62, time.Millisecond, func() (bool, error) { return false, nil })
				}
				return careful(e)(ctx, r)
			}
		}, "the driver waits without end"},
		{"panics", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				if err := careful(e)(ctx, r); err != nil && ctx.Err() == nil {
					panic(err)
				}
				return ctx.Err()
			}
		}, "panic: "},
		{"reports and fails", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				err := careful(e)(ctx, r)
				if err != nil {
					r.Set(sensors.Temperature, 21)
				}
				return err
			}
		}, "and yet reported"},
		{"says nothing", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				if err := careful(e)(ctx, r); err != nil && ctx.Err() == nil {
					return nil
				}
				return ctx.Err()
			}
		}, "neither a reading nor a failure nor an error"},
		{"measures what it doesn't say", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				err := careful(e)(ctx, r)
				if err == nil {
					r.Set(sensors.Humidity, 0.5)
				}
				return err
			}
		}, "not among the driver's Measures"},
		{"forgets a label", func(e sensors.Env) senseFunc {
			return func(ctx context.Context, r *sensors.Report) error {
				err := careful(e)(ctx, r)
				if err == nil {
					r.Set(sensors.Voltage.With("channel"), 1)
				}
				return err
			}
		}, `has the labels ["channel"] and was given the values []`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := record(t, func(tb testing.TB) {
				Faults(tb, faulty(tc.sense), Case{World: registers})
			})
			if tc.says == "" && got != "" || !strings.Contains(got, tc.says) {
				t.Errorf("the failures are\n%s\nand should say %q", got, tc.says)
			}
		})
	}
}

// unchecked minds errors and trusts what it reads.
func unchecked(e sensors.Env) senseFunc {
	return func(ctx context.Context, r *sensors.Report) error {
		if err := e.Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
		var p [2]byte
		if err := e.I2C().Tx([]byte{1}, p[:]); err != nil {
			return err
		}
		r.Set(sensors.Temperature, float64(p[0]))
		return nil
	}
}

// A driver is excused where its case says why, and the tally shows it.
func TestFaultsExcuses(t *testing.T) {
	d := faulty(unchecked)
	excused := map[Kind]string{}
	for _, k := range []Kind{OneBit, TwoBits, Shifted, Short, Random, LostWrite, WrittenBit} {
		excused[k] = "the chip offers nothing to tell by"
	}
	var tally Tally
	if got := record(t, func(tb testing.TB) { tally = Faults(tb, d, Case{World: registers, Excused: excused}) }); got != "" {
		t.Errorf("the failures are\n%s\nand there should be none", got)
	}
	// Flipped in the first byte, which alone it looks at.
	if got := tally[OneBit]; got != (Count{Tries: 16, Right: 8, Wrong: 8}) {
		t.Errorf("one bit gives %+v", got)
	}
	if got := tally[NoAnswer]; got != (Count{Tries: 2, Refused: 2}) {
		t.Errorf("no answer gives %+v", got)
	}
	// A checksum that is said to be there and isn't looked at lets more pass.
	got := record(t, func(tb testing.TB) {
		tally = Faults(tb, d, Case{World: registers, Excused: excused, Undetected: 1. / 256})
	})
	if count := tally[Guessed]; count.Tries != manyRandom || !strings.Contains(got, "of 1024 random answers give a wrong value, and 0.0039 of them have a good checksum") {
		t.Errorf("%+v, and the failures are\n%s", count, got)
	}
}

// What lasts, lasts: a driver whose chip stays broken by a fault is found, and
// so is one that takes the value of the wake before for this one's.
func TestFaultsFindsWhatLasts(t *testing.T) {
	broken := false
	lasting := faulty(func(e sensors.Env) senseFunc {
		read := careful(e)
		return func(ctx context.Context, r *sensors.Report) error {
			err := read(ctx, r)
			broken = broken || err != nil && ctx.Err() == nil
			if broken && err == nil {
				return errors.New("still broken")
			}
			return err
		}
	})
	world := func(e *Env) { broken = false; registers(e) }
	if got := record(t, func(tb testing.TB) { Faults(tb, lasting, Case{World: world}) }); !strings.Contains(got, "when that is over the read still fails: still broken") {
		t.Errorf("the failures are\n%s", got)
	}

	last := 0.0
	stale := faulty(func(e sensors.Env) senseFunc {
		read := unchecked(e)
		return func(ctx context.Context, r *sensors.Report) error {
			if err := read(ctx, r); err != nil && last != 0 && ctx.Err() == nil {
				r.Set(sensors.Temperature, last)
				return nil
			} else if err != nil {
				return err
			}
			last = r.Readings()[0].Value
			return nil
		}
	})
	var regs [256]byte
	c := Case{
		World: func(e *Env) { last = 0; copy(regs[1:], []byte{21, 0xee}); e.Bus = ByteRegisters(&regs) },
		Next:  func(*Env) { copy(regs[1:], []byte{22, 0xee}) },
	}
	if got := record(t, func(tb testing.TB) { Faults(tb, stale, c) }); !strings.Contains(got, "transaction 1 isn't answered: gives temperature[] = 21") {
		t.Errorf("the failures are\n%s", got)
	}
}

// The chip may start anew and be used by others between two transactions.
func TestFaultsBetween(t *testing.T) {
	var regs [256]byte
	c := Case{
		World:  func(e *Env) { copy(regs[1:], []byte{21, 0xee}); e.Bus = ByteRegisters(&regs) },
		Reset:  func(*Env) { regs[1] = 0 },
		Others: []Transaction{{Write: []byte{1, 99}}},
	}
	got := record(t, func(tb testing.TB) { Faults(tb, faulty(unchecked), c) })
	for _, says := range []string{
		"the chip is reset before transaction 0: gives temperature[] = 0",
		"another program writes 01 63 and reads 0 bytes before transaction 0: gives temperature[] = 99",
		"what transaction 0 writes is lost: gives",
		"bit 0 of byte 0 that transaction 0 writes flipped: gives",
		"answer 0 without its first byte, then 0x00: gives temperature[] = 238",
		"answer 0 ends after 0 bytes, then 0xFF: gives temperature[] = 255",
	} {
		if !strings.Contains(got, says) {
			t.Errorf("the failures don't say %q:\n%s", says, got)
		}
	}
}

func TestFaultsOfFilesAndLines(t *testing.T) {
	fileOf := func(parse func(text []byte, err error) (float64, error)) *sensors.Driver {
		return &sensors.Driver{Name: "file", New: func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
			return senseFunc(func(ctx context.Context, r *sensors.Report) error {
				v, err := parse(e.Files().ReadFile(ctx, "/sys/temp"))
				if err == nil {
					r.Set(sensors.Temperature, v)
				}
				return err
			}), nil
		}}
	}
	scan := func(text []byte, err error) (v float64, _ error) {
		if err != nil {
			return 0, err
		}
		_, err = fmt.Sscanf(string(text), "%f\n", &v)
		return v, err
	}
	lineOf := func(careless bool) *sensors.Driver {
		return &sensors.Driver{Name: "line", Options: []sensors.Option{{Name: "pin", Type: sensors.LineOption}},
			New: func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
				return senseFunc(func(ctx context.Context, r *sensors.Report) error {
					if err := ctx.Err(); err != nil {
						return err
					}
					l, err := e.Line("pin", sensors.LineConfig{})
					if err != nil {
						return err
					}
					active, err := l.Active()
					switch {
					case err != nil && !careless:
						return err
					case active:
						r.Set(sensors.Active, 1)
					default:
						r.Set(sensors.Active, 0)
					}
					return l.Close()
				}), nil
			}}
	}
	files := func(e *Env) { e.FS.Put("/sys/temp", "21\n") }
	lines := func(e *Env) {
		e.Lines["pin"] = &Line{}
		e.Lines["pin"].Drive(Start, true)
	}
	pin := map[string]string{"pin": "GPIO17"}
	for _, tc := range []struct {
		name string
		d    *sensors.Driver
		c    Case
		says string
	}{
		{"a careful reader", fileOf(scan), Case{World: files}, ""},
		{"a careless one", fileOf(func(text []byte, _ error) (v float64, _ error) {
			_, _ = fmt.Sscanf(string(text), "%f", &v)
			return v, nil
		}), Case{World: files}, "/sys/temp gives EIO: gives temperature[] = 0"},
		{"a careful line", lineOf(false), Case{World: lines, Options: pin}, ""},
		{"a careless line", lineOf(true), Case{World: lines, Options: pin}, "line of pin is gone: gives active[] = 0"},
		{"a fault of its own", fileOf(scan), Case{World: files, Faults: []Fault{{Name: "it is hot", Break: func(e *Env) { e.FS.Put("/sys/temp", "99\n") }}}},
			"it is hot: gives temperature[] = 99"},
	} {
		got := record(t, func(tb testing.TB) { Faults(tb, tc.d, tc.c) })
		if tc.says == "" && got != "" || !strings.Contains(got, tc.says) {
			t.Errorf("%s: the failures are\n%s\nand should say %q", tc.name, got, tc.says)
		}
	}
}

func TestLineKeepsWhatTheKernelKeeps(t *testing.T) {
	l := &Line{}
	if err := l.open(sensors.LineConfig{Edges: sensors.RisingEdge}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		l.Drive(Start.Add(time.Duration(i)), i%2 == 0)
	}
	if err := l.WaitEdge(t.Context()); err != nil {
		t.Fatal(err)
	}
	edges, err := l.Edges(nil)
	if err != nil || len(edges) != 16 || edges[0].Seq != 85 || edges[15].Seq != 100 || !edges[15].Active {
		t.Fatalf("100 rising edges leave %v, error %v: want the last 16", edges, err)
	}
	if edges, err = l.Edges(nil); err != nil || len(edges) != 0 {
		t.Errorf("they are still there: %v, error %v", edges, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.WaitEdge(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for nothing ends with %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Active(); err == nil {
		t.Error("a closed line can be read")
	}
}

func TestFiles(t *testing.T) {
	var f Files
	f.Put("/sys/bus/w1/devices/28-1/temperature", "1\n")
	f.Put("/sys/bus/w1/devices/28-2/temperature", "2\n")
	f.Break("/sys/bus/w1/devices/28-2/temperature", syscall.EIO)
	if got, err := f.Glob("/sys/bus/w1/devices/28-*"); err != nil || !slices.Equal(got, []string{"/sys/bus/w1/devices/28-1", "/sys/bus/w1/devices/28-2"}) {
		t.Errorf("the directories are %v, error %v", got, err)
	}
	if p, err := f.ReadFile(t.Context(), "/sys/bus/w1/devices/28-1/temperature"); err != nil || string(p) != "1\n" {
		t.Errorf("it reads %q, error %v", p, err)
	}
	if _, err := f.ReadFile(t.Context(), "/sys/bus/w1/devices/28-2/temperature"); !errors.Is(err, syscall.EIO) {
		t.Errorf("the error is %v, want EIO", err)
	}
	if err := f.WriteFile(t.Context(), "/sys/none", nil); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("the error is %v, want ENOENT", err)
	}
	if err := f.WriteFile(t.Context(), "/sys/bus/w1/devices/28-1/temperature", []byte("x")); err != nil || len(f.Written) != 1 || f.Written[0].Data != "x" {
		t.Errorf("written %v, error %v", f.Written, err)
	}
}

func TestPollEnds(t *testing.T) {
	e := New(t, &sensors.Driver{Name: "none"}, nil)
	asked := 0
	err := e.Poll(t.Context(), 10*time.Millisecond, 4*time.Millisecond, func() (bool, error) { asked++; return false, nil })
	if sensors.ReasonOf(err) != sensors.NotReady || asked != 4 || e.Waited() != 10*time.Millisecond {
		t.Errorf("asked %d times in %v, error %v: want 4 in 10ms and not_ready", asked, e.Waited(), err)
	}
}

// Of faults that differ in bits only each nth is tried, and at least one; of the
// others all.
func TestThin(t *testing.T) {
	var faults []Fault
	for range 9 {
		faults = append(faults, Fault{kind: OneBit}, Fault{kind: NoAnswer}, Fault{})
	}
	faults = append(faults, Fault{kind: Random})
	for n, want := range map[int]map[Kind]int{1: {OneBit: 9, NoAnswer: 9, "": 9, Random: 1}, 4: {OneBit: 3, NoAnswer: 9, "": 9, Random: 1}} {
		got := map[Kind]int{}
		for _, f := range thin(slices.Clone(faults), n) {
			got[f.kind]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("each %dth: %v, want %v", n, got, want)
		}
	}
	for text, want := range map[string]string{"": "1 ", "8": "8 ", "0": "give a positive number", "x": "give a positive number"} {
		t.Setenv(ThinVariable, text)
		n := 0
		said := record(t, func(tb testing.TB) { n = Thin(tb) })
		if got := fmt.Sprint(n, " ", said); !strings.Contains(got, want) {
			t.Errorf("%s=%q: %s", ThinVariable, text, got)
		}
	}
}
