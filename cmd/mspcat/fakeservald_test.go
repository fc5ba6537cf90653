package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

const (
	// beServald makes the test binary a servald program: its value is the path of
	// the socket through which the daemons of one mesh find each other.
	beServald = "MSPCAT_TEST_BE_SERVALD"
	// beLookout makes it the program that tells when a daemon is there.
	beLookout = "MSPCAT_TEST_BE_LOOKOUT"
	// fakeIsUp is the line of a fake daemon that answers, and has its routes.
	fakeIsUp = "the fake daemon is up"
)

// fakeServald is a servald program with the fake daemon in it: "start" runs the
// daemon of the instance, and "msp" is the stock tool, played by mspcat. It does not
// return.
func fakeServald(mesh string, args []string) {
	instance := os.Getenv(servald.PathVariable)
	switch {
	case len(args) == 1 && args[0] == "start":
		fail(fakeDaemon(mesh, instance))
	case len(args) > 2 && args[0] == "msp":
		os.Args = append([]string{os.Args[0], args[1], "--via=servald"}, args[2:]...)
		main()
	}
	fail(fmt.Errorf("servald %q: only start and msp are known", args))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fakeDaemon runs a daemon until the process is killed. The first process of a mesh
// holds all its daemons; the others ask it for one, for as long as they live.
func fakeDaemon(path, instance string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		c, err := net.Dial("unix", path)
		if err == nil {
			fmt.Fprintln(c, instance)
			_, err = io.Copy(os.Stderr, c)
		}
		return err
	}
	mesh := servaldtest.NewMesh()
	if _, err := mesh.StartAt(instance); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, fakeIsUp)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			d, err := mesh.StartAt(line[:len(line)-1])
			if err != nil {
				fmt.Fprintln(c, err)
				return
			}
			fmt.Fprintln(c, fakeIsUp)
			r.ReadByte() // its end
			d.Kill()
		}()
	}
}

// lookout waits until the daemon of the instance answers, and, if a SID is given,
// until it has a route there. It prints the daemon's SID. It does not return.
func lookout(args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var n *mdpconn.Node
	err := until(ctx, func() (err error) {
		n, err = mdpconn.NewNode(mdpconn.Config{Servald: &mdpconn.ServaldConfig{}})
		return err
	})
	if err == nil && len(args) > 0 {
		sid, parseErr := mdpconn.ParseSID(args[0])
		if parseErr != nil {
			fail(parseErr)
		}
		err = until(ctx, func() error {
			if n.Path(mdpconn.Primary, sid).Hops == 0 {
				return fmt.Errorf("no route to %v", sid)
			}
			return nil
		})
	}
	if err != nil {
		fail(err)
	}
	fmt.Fprintln(os.Stderr, "daemon", n.Primary())
	fail(n.Close())
}

// until tries again until f succeeds or the time is over. A real servald does not
// say when it is up; of a fake one that is known before, and f succeeds at once.
func until(ctx context.Context, f func() error) error {
	for {
		err := f()
		select {
		case <-ctx.Done():
			return err
		default:
		}
		if err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}
