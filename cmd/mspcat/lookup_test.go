package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A listener with a name is found by it, and by no other, through either door.
func TestLookup(t *testing.T) {
	t.Parallel()
	name := fmt.Sprint("chat-", rand.Uint64()) // others on this host may have a chat
	_, command := listen(t, "--service="+name)
	p := start(t, "lookup", "-1", "-w", "10s", name)
	if got, want := string(p.readAll()), command[2]+" 5000\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	p.wantStatus("found", 0)
	p = start(t, "lookup", "-w", "1s", name+"-other")
	if got := p.readAll(); len(got) > 0 {
		t.Errorf("printed %q of a name that nobody has", got)
	}
	p.wantStatus("not found", 1)
}

func TestLookupViaServald(t *testing.T) {
	t.Parallel()
	_, flags := viaServald(t)
	_, command := listenVia(t, flags[1], "--service=chat")
	p := start(t, "lookup", flags[0], "-w", "30s")
	want := command[2] + " 5000 chat\n"
	if got := string(p.read(len(want))); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	interrupt(t, p)
	p.wantStatus("interrupted before the end", 130)
}

func TestLookupUsage(t *testing.T) {
	long := strings.Repeat("x", 300)
	for args, want := range map[string]string{
		"lookup a b":              "mspcat: 2 arguments: expected one, the NAME to look for, or none\n",
		"lookup a/b":              "mspcat: service name \"a/b\": expected 1 … 63 letters, digits, '-', '_' or '.'\n",
		"lookup " + long:          "mspcat: service name \"" + long[:80] + "\"...: expected 1 … 63 letters, digits, '-', '_' or '.'\n",
		"listen --service=ä 5000": "mspcat: invalid argument \"ä\" for \"--service\" flag: expected 1 to 63 letters, digits, '-', '_' or '.' (see mspcat listen --help)\n",
	} {
		if status, _, stderr := runHere("", strings.Fields(args)...); status != 2 || stderr != want {
			t.Errorf("%s: status %d, %q; want %q", args, status, stderr, want)
		}
	}
}
