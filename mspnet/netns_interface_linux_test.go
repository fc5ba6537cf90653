package mspnet_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

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
	lines := make(logged, 1)
	n, err := mdpconn.NewNode(mdpconn.Config{
		Interfaces: []mdpconn.Interface{i}, Announce: mdpconn.AnnounceAlways,
		Logger: slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	want, _ := strconv.Atoi(most)
	for len(n.Routes()) < want && ctx.Err() == nil {
		select {
		case <-lines: // with each packet, and ticks never end
		case <-ctx.Done():
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

// logged tells that a node has written to its log.
type logged chan struct{}

func (l logged) Write(b []byte) (int, error) {
	select {
	case l <- struct{}{}:
	default:
	}
	return len(b), nil
}
