package mspnet_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// netnsRole says, in a process that TestNetnsChain started, what it is.
const netnsRole = "MSPNET_TEST_NETNS_ROLE"

// netnsBytes is how much goes through; the race detector slows it down too much
// for all of it.
func netnsBytes() int64 {
	if raceEnabled {
		return 10_000_000
	}
	return 100_000_000
}

// A chain of three nodes over UDP, each in a network namespace of its own, where
// the ends cannot hear each other, carries 100 MB.
func TestNetnsChain(t *testing.T) {
	ns := netnsChain(t)
	netnsNode(t, ns[1], "relay")
	sink, lines := netnsNode(t, ns[2], "sink")
	address := <-lines
	began := time.Now()
	source, _ := netnsNode(t, ns[0], "source", address)
	if err := source.Wait(); err != nil {
		t.Fatal("source: ", err)
	}
	want := sha256.New()
	io.Copy(want, netnsData())
	if got := <-lines; got != fmt.Sprintf("%x", want.Sum(nil)) {
		t.Errorf("other bytes arrived: hash %q", got)
	}
	took := time.Since(began)
	t.Logf("%d bytes in %v, %.1f MB/s", netnsBytes(), took, float64(netnsBytes())/took.Seconds()/1e6)
	if err := sink.Wait(); err != nil {
		t.Error("sink: ", err)
	}
}

// netnsChain makes three namespaces, and links from the middle one to the others.
func netnsChain(t *testing.T) (names [3]string) {
	t.Helper()
	if testing.Short() {
		t.Skip("not run: -short")
	}
	if os.Getuid() != 0 {
		t.Skip("not run: network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("not run: ", err)
	}
	ip := func(args string) error {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	}
	for i := range names {
		names[i] = fmt.Sprintf("msp-test-%d-%d", os.Getpid(), i)
		if err := ip("netns add " + names[i]); err != nil {
			t.Skip("not run: ", err)
		}
		t.Cleanup(func() { ip("netns del " + names[i]) })
	}
	for i, end := range []int{0, 2} {
		for _, args := range []string{
			fmt.Sprintf("-n %s link add v%d type veth peer name v netns %s", names[1], i, names[end]),
			fmt.Sprintf("-n %s addr add 10.77.%d.1/24 brd + dev v%d", names[1], i, i),
			fmt.Sprintf("-n %s addr add 10.77.%d.2/24 brd + dev v", names[end], i),
			fmt.Sprintf("-n %s link set v%d up", names[1], i),
			fmt.Sprintf("-n %s link set v up", names[end]),
		} {
			if err := ip(args); err != nil {
				t.Skip("not run: ", err)
			}
		}
	}
	return names
}

// netnsNode starts a process with a node in a namespace. It gives what it prints.
func netnsNode(t *testing.T, ns, role string, args ...string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns, os.Args[0], "-test.run=^TestNetnsNode$")
	cmd.Env = append(os.Environ(), netnsRole+"="+role+" "+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd, lines
}

func netnsData() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), netnsBytes())
}

// TestNetnsNode is the node of such a process.
func TestNetnsNode(t *testing.T) {
	role := strings.Fields(os.Getenv(netnsRole))
	if len(role) == 0 {
		t.Skip("only for the tests in namespaces")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if role[0] == "interface" {
		netnsInterfaces(ctx, t, role[1], role[2])
		return
	}
	n, err := mdpconn.NewNode(mdpconn.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	switch role[0] {
	case "relay":
		<-ctx.Done()
	case "sink":
		netnsSink(ctx, t, n)
	case "source":
		c, err := (&mspnet.Dialer{Node: n}).DialContext(ctx, "msp", role[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(c, netnsData()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := mspnet.Drain(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
}

func netnsSink(ctx context.Context, t *testing.T, n *mdpconn.Node) {
	ln, err := (&mspnet.ListenConfig{Node: n}).Listen(ctx, "msp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fmt.Println(mdpconn.Addr{SID: n.Primary(), Port: 80})
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, c); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%x\n", h.Sum(nil))
	c.Close()
	if err := mspnet.Drain(ctx, n); err != nil {
		t.Fatal(err)
	}
}
