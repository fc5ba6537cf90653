package main

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"

	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

// viaServald makes two daemons of a mesh, and the flags to go through each.
func viaServald(t *testing.T) (daemons [2]*servaldtest.Daemon, flags [2]string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("this system has no unixgram sockets")
	}
	mesh := servaldtest.NewMesh()
	t.Cleanup(mesh.Close)
	for i := range daemons {
		d, err := mesh.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if why := d.Ended(); why != "" {
				t.Errorf("a daemon was ended by %s", why)
			}
		})
		daemons[i], flags[i] = d, "--via=servald:"+d.Instance
	}
	return daemons, flags
}

// listenVia starts a listener and returns the command that it prints.
func listenVia(t *testing.T, flag string, args ...string) (l *process, command []string) {
	t.Helper()
	l = start(t, append([]string{"listen", "5000", flag}, args...)...)
	return l, strings.Fields(l.waitLine(" connect "))
}

func TestViaServald(t *testing.T) {
	t.Parallel()
	daemons, flags := viaServald(t)
	there, back := randomBytes(300<<10+17), randomBytes(100<<10+1)
	l, command := listenVia(t, flags[1])
	if want := "--via servald"; !strings.HasSuffix(strings.Join(command, " "), want) {
		t.Errorf("the command to paste is %q, want it to end with %q", command, want)
	}
	c := connect(t, command, flags[0])
	l.give(back)
	c.give(there)
	gotThere := make(chan []byte, 1)
	go func() { gotThere <- l.readAll() }()
	wantBytes(t, "the connecting side's stdout is the listener's stdin", c.readAll(), back)
	wantBytes(t, "the listener's stdout is the connecting side's stdin", <-gotThere, there)
	c.wantStatus("everything was delivered", 0)
	l.wantStatus("everything was delivered", 0)
	for _, d := range daemons {
		d.Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
	}
}

// The daemons killed in the middle of a transfer are an error of both programs,
// in one line that tells it, and never a short file with status 0. So is one of them
// killed for the program at the other, 10 s later.
func TestViaServaldKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		listenerSends  bool
		killed         []int // daemon 0 is the connector's
		sender, reader string
	}{
		{"both, the connector sends", false, []int{0, 1}, "is gone", "is gone"},
		{"both, the listener sends", true, []int{0, 1}, "is gone", "is gone"},
		{"the sending connector's", false, []int{0}, "is gone", "timed out"},
		{"the sending listener's", true, []int{1}, "is gone", "timed out"},
		{"the reading listener's", false, []int{1}, "timed out", "is gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			daemons, flags := viaServald(t)
			reader, command := listenVia(t, flags[1])
			sender := connect(t, command, flags[0])
			if c.listenerSends {
				reader, sender = sender, reader
			}
			sent := randomBytes(8 << 20)
			reader.give(nil)
			sender.give(sent)
			got := reader.read(64 << 10)
			for _, i := range c.killed {
				daemons[i].Kill()
			}
			got = append(got, reader.readAll()...)
			if !bytes.HasPrefix(sent, got) || len(got) == len(sent) {
				t.Errorf("%d bytes arrived that are not a beginning of what was sent", len(got))
			}
			own := map[*process]*servaldtest.Daemon{sender: daemons[0], reader: daemons[1]}
			if c.listenerSends {
				own[sender], own[reader] = daemons[1], daemons[0]
			}
			for p, want := range map[*process]string{sender: c.sender, reader: c.reader} {
				line := p.waitLine(want)
				if want == "is gone" && !strings.Contains(line, own[p].Socket) {
					t.Errorf("%q does not name the socket", line)
				}
				p.wantStatus(c.name, 1)
			}
		})
	}
}

// A listener that was killed left its port bound; the next one gets it back.
func TestViaServaldListenerKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no signals for other processes")
	}
	daemons, flags := viaServald(t)
	l, _ := listenVia(t, flags[1])
	second := start(t, "listen", "5000", flags[1])
	second.wantStatus("the port is taken", 1)
	second.waitLine("running already")
	l.signal(os.Kill)
	<-l.exited
	if len(daemons[1].Bindings()) != 1 {
		t.Error("the daemon forgot a client that died")
	}
	l, command := listenVia(t, flags[1])
	c := connect(t, command, flags[0])
	c.give([]byte("again"))
	l.give(nil)
	wantBytes(t, "the port is its own again", l.readAll(), []byte("again"))
	c.wantStatus("delivered", 0)
	l.wantStatus("delivered", 0)
}

func TestViaServaldErrors(t *testing.T) {
	t.Parallel()
	daemons, flags := viaServald(t)
	sid := strings.Repeat("21", 32)
	daemons[1].Kill()
	for _, args := range [][]string{{"listen", "5000", flags[1]}, {sid, "5000", flags[1]}} {
		p := start(t, args...)
		p.wantStatus("the daemon does not run", 1)
		line := p.waitLine("is not running")
		for _, part := range []string{daemons[1].Socket, "start it", servald.PathVariable} {
			if !strings.Contains(line, part) {
				t.Errorf("%q does not say %q", line, part)
			}
		}
		if strings.Contains(p.stderr(), "\n") {
			t.Errorf("more than one line: %q", p.stderr())
		}
	}
	for _, args := range [][]string{
		{"listen", "5000", "--via", "udp"},
		{"listen", "5000", "--via", "servald:"},
		{"listen", "5000", "--via", "servald:relative"},
		{"listen", "5000", "--via", "servald:/" + strings.Repeat("x", 200)},
		{"listen", "5000", flags[0], "-i", "key"},
		{sid, "5000", flags[0], "--bind", "127.0.0.1:0"},
	} {
		start(t, args...).wantStatus(strings.Join(args, " "), 2)
	}

	// Where nobody has bound the port a daemon is silent.
	p := start(t, sid, "5000", flags[0], "-w", "300ms")
	p.waitLine("no answer in 300ms (servald at socket " + daemons[0].Socket + " knows no route)")
	p.wantStatus("no answer", 1)
}
