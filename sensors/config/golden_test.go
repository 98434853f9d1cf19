package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every error at once, in order, each with its place and advice.
func TestEveryErrorAtOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/wrong.yml")
	if err != nil {
		t.Fatal(err)
	}
	src := Source{
		File: "wrong.yml", Data: data, Every: "soon",
		SensorFlags: []string{
			"door=switch,pin=GPIO4",
			"nothing",
			"=thermal",
			"a=",
			"a,b=thermal",
			`c=thermal,zone="open`,
			`d=thermal,zone="a"b,label.x=y`,
			`e=thermal,zone=a"b`,
			`f=thermal,zone="a\n"`,
			"g=thermal,at=0,30 * * * *",
			"h=thermal,,zone=,",
			"i=thermal,=3",
			"j=thermal,name=x,driver=y",
			"k=thermal,zone=a,zone=b",
			"l=bme280,bus=2,a0.name=x,temprature.offset=1,label.room.x=y",
			"m=bme280,bus=1,addr=0x77",
			`n=hwmon,path="/x",in0.foo=1`,
			"o=command,argv=/bin/true,env.=x,evn.A=1",
			"p=command,argv=/bin/true,env=A=1,env.B=2",
			"q=ads1115,bus=2,a0.rate=8,a1.points=1:2,a2.points=\"1:2 1:3\",a3.points=\"1 2\"",
			"r=ads1115,bus=3,channels=\"a0 a9\",a1.filter.median=2,a2.filter.average=100",
			"s=relay,out=GPIO6,echo=GPIO6",
			"t=pulse,pin=GPIO7,quantity=precipitation,per-pulse=0,5l",
		},
		RailFlags: []string{"vcc=GPIO18", "x=", "y=GPIO1000", "z"},
	}
	cfg, err := Load(src)
	if cfg != nil || err == nil {
		t.Fatalf("Load = %v, %v", cfg, err)
	}
	got := err.Error() + "\n"
	if *update {
		if err := os.WriteFile("testdata/wrong.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/wrong.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("errors differ from testdata/wrong.golden (-):\n%s", diff)
	}
	// The order is that of the text, whatever a map's is.
	for range 20 {
		if _, again := Load(src); again.Error()+"\n" != got {
			t.Fatalf("another order:\n%v", again)
		}
	}
}
