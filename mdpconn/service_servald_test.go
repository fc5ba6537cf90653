package mdpconn_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mdpconn/servald/servaldtest"
)

// TestServaldServices: services are registered and found through daemons, in the
// clear first and then enciphered; the port is released with the last one.
func TestServaldServices(t *testing.T) {
	daemons := onServald(t, 1, 1)
	near, far := servaldNode(t, daemons[0], ""), servaldNode(t, daemons[1], "")
	first, second := register(t, far, "chat", 5000), register(t, far, "files", 80)
	got := make(map[string]bool)
	err := near.LookupServices(t.Context(), "", func(s mdpconn.Service) bool {
		got[fmt.Sprintf("%s %v verified=%v", s.Name, s.Addr, s.Verified)] = true
		return len(got) < 2
	})
	if err != nil || !got[at(far, "chat", 5000)] || !got[at(far, "files", 80)] {
		t.Errorf("found %v, %v", got, err)
	}
	first()
	second()
	daemons[1].Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
	register(t, far, "chat", 5000)()
}

// TestServaldServicesOfTheNodeItself: a node finds its own services, those of other
// nodes at its daemon, and proves them.
func TestServaldServicesOfTheNodeItself(t *testing.T) {
	d := onServald(t, 1)[0]
	n, other := servaldNode(t, d, ""), servaldNode(t, d, "")
	register(t, n, "chat", 5000)
	for why, from := range map[string]*mdpconn.Node{"its own": n, "another's at the daemon": other} {
		err := from.LookupServices(t.Context(), "chat", func(s mdpconn.Service) bool {
			if want := (mdpconn.Service{Name: "chat", Addr: mdpconn.Addr{SID: n.Primary(), Port: 5000}, Verified: true}); s != want {
				t.Errorf("%s: found %+v, want %+v", why, s, want)
			}
			return false
		})
		if err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// TestServaldServiceQuestions: whoever asks gets the answer in the mode in which he
// has asked, for one and for all.
func TestServaldServiceQuestions(t *testing.T) {
	d := onServald(t, 1, 1)
	asks, answers := servaldNode(t, d[0], ""), servaldNode(t, d[1], "")
	register(t, answers, "chat", 5000)
	in := accepting(t, asks, 2000, acceptAll)
	for _, mode := range []mdpconn.Mode{mdpconn.Enciphered, mdpconn.Signed, mdpconn.Plain} {
		for _, to := range []mdpconn.SID{answers.Primary(), mdpconn.All} {
			if mode == mdpconn.Enciphered && to == mdpconn.All {
				continue
			}
			sendMode(t, asks, mode, mdpconn.Addr{SID: to, Port: 11}, 0, "chat.msp.*")
			got := take(t, fmt.Sprint("the answer to ", mode, " question"), in)
			if got.Mode != mode || got.Remote != (mdpconn.Addr{SID: answers.Primary(), Port: 11}) || string(got.Data) != "chat.msp.port=5000" {
				t.Errorf("%v to %v: got %+v", mode, to, got)
			}
			got.Release()
		}
	}
}

// TestServaldServiceQuestionsFromServicePorts: questions that cannot be answered
// end neither the daemon nor the node (TestServiceQuestionsFromServicePorts).
func TestServaldServiceQuestionsFromServicePorts(t *testing.T) {
	d := onServald(t, 1)[0]
	n := servaldNode(t, d, "answers")
	register(t, n, "chat", 5000)
	own, other := servald.SID(n.Primary()), servaldtest.RandomSID()
	sent := uint64(0)
	for _, local := range []servald.SID{own, servald.Broadcast, servald.Internal, other} {
		for _, port := range []uint32{0, 2, 4, 5, 8, uint32(mdpconn.MaxPort) + 1, 2000} {
			for _, flags := range []servald.Flags{0, servald.NoCrypt, servald.NoCrypt | servald.NoSign} {
				if err := d.Send("answers", &servald.Message{
					LocalSID: local, LocalPort: 11, RemoteSID: other, RemotePort: port, Flags: flags, Payload: []byte("*"),
				}); err != nil {
					t.Fatal(err)
				}
				sent++
			}
		}
	}
	for n.Stats().Received.Packets < sent {
		d.AwaitDatagrams(1) // the node asks every 400 ms
	}
	s, in := bind(t, n, mdpconn.Addr{Port: 2001})
	send(t, n, s.LocalAddr(), mdpconn.Addr{SID: n.Primary(), Port: 11}, "*")
	if got := take(t, "the answer to a good question", in); string(got.Data) != "chat.msp.port=5000" {
		t.Errorf("got %q", got.Data)
	}
}

// TestServaldServicePortRefused: while the daemon refuses port 11 to a node, none
// of the node's services passes for one that is served, also of those that are
// registered while the first waits for the daemon's answer; and behind that they
// are.
func TestServaldServicePortRefused(t *testing.T) {
	d := onServald(t, 1)[0]
	first, second := servaldNode(t, d, ""), servaldNode(t, d, "")
	release := register(t, first, "chat", 5000)

	held, answer := make(chan struct{}), make(chan struct{})
	go d.Await(func([]servaldtest.Binding) bool { // it handles nothing meanwhile
		close(held)
		<-answer
		return true
	})
	<-held
	const services = 10
	errs := make(chan error)
	for i := range services {
		go func() {
			_, err := second.RegisterService("files", mdpconn.Port(80+i))
			errs <- err
		}()
	}
	for second.Registered() < services {
		runtime.Gosched()
	}
	close(answer)
	for range services {
		err := <-errs
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("registered with %v, want EADDRINUSE", err)
		}
		for _, what := range []string{"port 11", "another program", "one program", "without a name"} {
			if !strings.Contains(err.Error(), what) {
				t.Errorf("the error is %q, want it to name %q", err, what)
			}
		}
	}
	if n := second.Registered(); n != 0 {
		t.Errorf("%d services are answered for", n)
	}
	release()
	d.Await(func(bs []servaldtest.Binding) bool { return len(bs) == 0 })
	register(t, second, "files", 80)
	if bs := d.Bindings(); len(bs) != 1 || bs[0].Port != 11 {
		t.Errorf("bound %v, want port 11", bs)
	}
}

// TestServaldServicePortTaken: a node whose application has bound port 11 itself
// says so to who gives a service a name.
func TestServaldServicePortTaken(t *testing.T) {
	n := servaldNode(t, onServald(t, 1)[0], "")
	bind(t, n, mdpconn.Addr{Port: 11})
	_, err := n.RegisterService("chat", 5000)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "port 11") {
		t.Errorf("registered with %v, want EADDRINUSE and the port", err)
	}
}
