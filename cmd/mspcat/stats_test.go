package main

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	for _, test := range []struct {
		bytes int64
		took  time.Duration
		want  string
	}{
		{3_000_000, 2 * time.Second, "1.5 MB/s"},
		{0, time.Second, "0.0 MB/s"},
		{5, 0, "-"},
	} {
		if got := rate(test.bytes, test.took); got != test.want {
			t.Errorf("rate(%d, %v) = %s, want %s", test.bytes, test.took, got, test.want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "0s",
		999:                       "999ns",
		71_934:                    "71.9µs",
		1_234_567_890:             "1.23s",
		61_987 * time.Millisecond: "1m2s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d) = %s, want %s", d, got, want)
		}
	}
}
