package mspnet_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
)

// Two nodes in network namespaces, each on an interface that it chose by name or
// by network, find each other by their broadcasts at UDP port 4110, without a
// hint, and both name the same address: there is one socket for all they send.
func TestNetnsInterfaces(t *testing.T) {
	ns := netnsChain(t)
	_, relay := netnsNode(t, ns[1], "interface", "v*:wifi", "2")
	_, left := netnsNode(t, ns[0], "interface", "v:ethernet", "2")
	_, right := netnsNode(t, ns[2], "interface", "10.77.1.0/24", "2")
	for name, c := range map[string]struct {
		lines <-chan string
		want  string
	}{
		"the middle": {relay, "1:10.77.0.2:4110 1:10.77.1.2:4110"},
		"the left":   {left, "1:10.77.0.1:4110 2:10.77.0.1:4110"},
		"the right":  {right, "1:10.77.1.1:4110 2:10.77.1.1:4110"},
	} {
		if got := <-c.lines; got != c.want {
			t.Errorf("%s reaches %q, want %q", name, got, c.want)
		}
	}
}

// netnsInterfaces waits until so many are reached, and prints over how many hops
// and where. It stays until the test ends it.
func netnsInterfaces(ctx context.Context, t *testing.T, spec, most string) {
	i, err := mdpconn.ParseInterface(spec)
	if err != nil {
		t.Fatal(err)
	}
	n, err := mdpconn.NewNode(mdpconn.Config{Interfaces: []mdpconn.Interface{i}, Announce: mdpconn.AnnounceAlways})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	want, _ := strconv.Atoi(most)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for late := false; len(n.Routes()) < want && !late; {
		select {
		case <-tick.C:
		case <-deadline:
			late = true
		}
	}
	var words []string
	for _, r := range n.Routes() {
		words = append(words, fmt.Sprintf("%d:%v", r.Hops, r.Endpoint))
	}
	if len(words) == 2 && words[0] > words[1] {
		words[0], words[1] = words[1], words[0]
	}
	fmt.Println(strings.Join(words, " "))
	<-ctx.Done()
}
