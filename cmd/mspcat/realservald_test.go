package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// TestRealServald runs every case of docs/compatibility.md in which programs meet,
// between two daemons of the servald on PATH, with ours in the place of either end or
// both, through either door. Where there is none, it is reported as not run.
func TestRealServald(t *testing.T) {
	program, why := realServald()
	if program == nil {
		t.Skip("not run: " + why)
	}
	servaldCases(t, program, true)
}

// TestFakeServald runs the same with a fake daemon in the part of servald, so that
// the tests themselves are tested. What needs stock's overlay is reported as not run.
func TestFakeServald(t *testing.T) {
	t.Parallel()
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprintf("in namespaces %v", apart), func(t *testing.T) {
			t.Parallel()
			servaldCases(t, fakeServaldProgram(t), apart)
		})
	}
}

func servaldCases(t *testing.T, program *servaldProgram, apart bool) {
	l := newServaldLab(t, program, apart)
	at := func(t *testing.T) *servaldLab {
		here := *l
		here.t = t
		return &here
	}
	all := [][2]end{{stockTool, stockTool}, {stockTool, viaDaemon}, {viaDaemon, stockTool}, {viaDaemon, viaDaemon}}
	neighbours := [][2]end{{stockTool, neighbour}, {neighbour, stockTool}, {viaDaemon, neighbour}, {neighbour, viaDaemon}}
	if program.fake {
		t.Run("mspcat by UDP", func(t *testing.T) {
			t.Skip("not run: the fake servald speaks no overlay; it takes a real one")
		})
	} else {
		all = append(all, neighbours...)
	}
	port := 5000
	t.Run("while the daemons live", func(t *testing.T) {
		for _, ends := range all {
			for _, c := range []struct {
				name string
				slow bool // it waits for 10 s of silence
				run  func(l *servaldLab, listener, connector end, port string)
			}{{"exchange", false, exchanged}, {"busy", false, busy}, {"aborted", false, aborted}, {"silence", true, silent}, {"killed", true, killed}} {
				if c.slow && program.fake && (apart || ends != all[1]) {
					continue // it is all the same program
				}
				port++
				port := fmt.Sprint(port)
				t.Run(fmt.Sprintf("%s/%v to %v", c.name, ends[1], ends[0]), func(t *testing.T) {
					t.Parallel()
					c.run(at(t), ends[0], ends[1], port)
				})
			}
		}
	})
	t.Run("daemon killed", func(t *testing.T) { daemonKilled(at(t), fmt.Sprint(port+1)) })
}

// exchanged: bytes both ways, each direction ended by itself, status 0 at both.
func exchanged(l *servaldLab, listener, connector end, port string) {
	there, back := randomBytes(300<<10+17), randomBytes(100<<10+1)
	to, from := l.pair(listener, connector, port)
	to.give(back)
	from.give(there)
	gotThere := make(chan []byte, 1)
	go func() { gotThere <- to.readAll() }()
	wantBytes(l.t, "what the connector got", from.readAll(), back)
	wantBytes(l.t, "what the listener got", <-gotThere, there)
	from.wantStatus("everything was delivered", 0)
	to.wantStatus("everything was delivered", 0)
}

// busy: a listener that has its one connection refuses the next by STOP, which is a
// failure for mspcat and none for stock; the first goes on.
func busy(l *servaldLab, listener, connector end, port string) {
	to, sid := l.listen(listener, port)
	first := l.tool(connector, 0, "connect", sid, port)
	first.write([]byte("x"))
	to.read(1)
	second := l.tool(connector, 0, "connect", sid, port)
	second.write([]byte("y"))
	second.wantStatus("refused", l.failure(connector))
	if connector != stockTool {
		second.waitLine("refused")
	}
	first.stdin.Close()
	to.stdin.Close()
	first.wantStatus("the first goes on", 0)
	to.wantStatus("the first goes on", 0)
}

// silent: nobody has bound the port, and the time-out is a failure everywhere.
func silent(l *servaldLab, listener, connector end, port string) {
	if listener == neighbour {
		l.t.Skip("not run: a port of ours that is not bound is not silent")
	}
	from := l.tool(connector, 0, "connect", l.sid[1], port)
	from.give([]byte("anybody?"))
	from.wantStatus("nobody answers", 1)
}

// killed: a connector that is killed is silent, and the listener fails after 10 s;
// what arrived before is there.
func killed(l *servaldLab, listener, connector end, port string) {
	to, from := l.pair(listener, connector, port)
	to.stdin.Close()
	from.write([]byte("before"))
	wantBytes(l.t, "what came before", to.read(6), []byte("before"))
	from.signal(os.Kill)
	if got := to.readAll(); len(got) > 0 {
		l.t.Errorf("%d bytes more", len(got))
	}
	to.wantStatus("the peer is silent", 1)
}

// aborted: the first SIGINT of stock's tool, and the second of mspcat, send STOP.
func aborted(l *servaldLab, listener, connector end, port string) {
	to, from := l.pair(listener, connector, port)
	from.write([]byte("before"))
	to.read(6)
	interrupt(l.t, from)
	if connector != stockTool || l.program.fake {
		from.waitLine("once more to abort")
		from.cmd.Process.Signal(os.Interrupt) // if it has left, that was an abort too: the listener had not ended
	}
	<-from.exited
	to.readAll()
	to.wantStatus("aborted by the peer", l.failure(listener))
}

// failure is the status of an end whose peer sent STOP.
func (l *servaldLab) failure(e end) int {
	if e == stockTool && !l.program.fake {
		return 0
	}
	return 1
}

// daemonKilled: in the middle of a transfer the daemon of the reader is killed. Our
// reader says so, and has a beginning of what was sent; the writer times out.
func daemonKilled(l *servaldLab, port string) {
	to, from := l.pair(viaDaemon, viaDaemon, port)
	sent := randomBytes(8 << 20)
	to.stdin.Close()
	from.give(sent)
	got := to.read(64 << 10)
	l.daemon[1].signal(os.Kill)
	got = append(got, to.readAll()...)
	if !bytes.HasPrefix(sent, got) || len(got) == len(sent) {
		l.t.Errorf("%d bytes arrived that are not a beginning of what was sent", len(got))
	}
	to.waitLine("is gone")
	to.wantStatus("the daemon is gone", 1)
	if l.program.fake {
		return // "killed" has waited for that silence
	}
	from.wantStatus("the peer is silent", 1)
}
