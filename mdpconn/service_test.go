package mdpconn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/memnet"
	"mesh.example/msp/mdpconn/overlay"
)

// lookUp gives what is found in so long, as text, sorted.
func lookUp(t *testing.T, n *mdpconn.Node, name string, d time.Duration) (found []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	err := n.LookupServices(ctx, name, func(s mdpconn.Service) bool {
		found = append(found, fmt.Sprintf("%s %v verified=%v", s.Name, s.Addr, s.Verified))
		return true
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("look-up of %q: %v", name, err)
	}
	slices.Sort(found)
	return found
}

func register(t *testing.T, n *mdpconn.Node, name string, port mdpconn.Port) func() {
	t.Helper()
	release, err := n.RegisterService(name, port)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func at(n *mdpconn.Node, name string, port mdpconn.Port) string {
	return fmt.Sprintf("%s %v verified=true", name, mdpconn.Addr{SID: n.Primary(), Port: port})
}

// TestServicesAreFound: services are found by name, or all of them, next door and some
// hops away, where packets are lost too (that proofs come in time is another
// matter there); and no longer when they are gone.
func TestServicesAreFound(t *testing.T) {
	for _, loss := range []float64{0, 0.1} {
		find := func(n *mdpconn.Node, name string) []string {
			if loss == 0 {
				return lookUp(t, n, name, 20*time.Second)
			}
			found := lookUp(t, n, name, 2*time.Minute)
			for i := range found {
				found[i] = strings.Replace(found[i], "verified=false", "verified=true", 1)
			}
			return found
		}
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, 5, memnet.Impairment{Delay: time.Millisecond, Loss: loss})
			m.connect(line(5)...)
			register(t, m.nodes[1], "chat", 5000)
			gone := register(t, m.nodes[1], "files", 80)
			register(t, m.nodes[4], "chat", 6000)
			defer m.nodes[4].Announce()()
			want := []string{at(m.nodes[1], "chat", 5000), at(m.nodes[4], "chat", 6000)}
			slices.Sort(want)
			if got := find(m.nodes[0], "chat"); !slices.Equal(got, want) {
				t.Errorf("loss %v: chat: %v, want %v", loss, got, want)
			}
			want = append(want, at(m.nodes[1], "files", 80))
			slices.Sort(want)
			if got := find(m.nodes[0], ""); !slices.Equal(got, want) {
				t.Errorf("loss %v: all: %v, want %v", loss, got, want)
			}
			gone()
			gone()
			if got := lookUp(t, m.nodes[0], "files", 10*time.Second); got != nil {
				t.Errorf("loss %v: a service that is gone: %v", loss, got)
			}
		})
	}
}

// TestServicesOfTheNodeItself: a node finds its own services too, as it does at a
// daemon (TestServaldServicesOfTheNodeItself).
func TestServicesOfTheNodeItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t, memnet.New(memnet.Config{}), mdpconn.Config{Identities: []*mdpconn.Identity{identity(t), identity(t)}})
		register(t, n, "files", 80)
		gone := register(t, n, "chat", 5000)
		if got, want := lookUp(t, n, "chat", 10*time.Second), []string{at(n, "chat", 5000)}; !slices.Equal(got, want) {
			t.Errorf("chat: %v, want %v", got, want)
		}
		if got, want := lookUp(t, n, "", 10*time.Second), []string{at(n, "chat", 5000), at(n, "files", 80)}; !slices.Equal(got, want) {
			t.Errorf("all: %v, want %v", got, want)
		}
		gone()
		if got := lookUp(t, n, "chat", 10*time.Second); got != nil {
			t.Errorf("a service that is gone: %v", got)
		}
	})
}

// TestServiceUnproven: an answer in the clear that its SID does not repeat
// enciphered is shown as such, after two seconds; and answers that are none, or to
// another name, are not.
func TestServiceUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, nodeLink := newNode(t, network, mdpconn.Config{})
		liar := newPuppet(t, network, network.Link(), identity(t), n.Primary())
		over := make(chan struct{})
		go func() {
			for asked := false; ; {
				select {
				case <-over:
					return
				case <-time.After(10 * time.Millisecond):
				}
				for _, h := range liar.take() {
					ports, _, err := overlay.ParsePorts(h.payload.Body)
					if mode, _ := h.payload.Flags.Mode(); asked || err != nil || mode != overlay.ModePlain || ports.Destination != 11 {
						continue
					}
					asked = true
					for _, answer := range []string{"chat.mdp.port=7", "chat.msp.port=", "other.msp.port=7", "chat.msp.port=0", "chat"} {
						body, _ := overlay.AppendPorts(nil, overlay.Ports{Destination: ports.Source, Source: 11})
						liar.say(nodeLink.LocalAddr(), overlay.Payload{
							Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(n.Primary())),
							Type: overlay.TypeData, Body: append(body, answer...),
						})
					}
				}
			}
		}()
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var got mdpconn.Service
		err := n.LookupServices(ctx, "chat", func(s mdpconn.Service) bool { got = s; return false })
		if want := (mdpconn.Service{Name: "chat", Addr: mdpconn.Addr{SID: liar.id.SID(), Port: 7}}); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if d := time.Since(start); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("shown after %v", d)
		}
		close(over)
	})
}

// TestServiceNames: names that are none, and more services than there may be.
func TestServiceNames(t *testing.T) {
	n, err := mdpconn.NewNode(mdpconn.Config{NoUDP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, name := range []string{"", "a b", "a=b", "a*", "a/b", "ä", strings.Repeat("x", 64)} {
		if _, err := n.RegisterService(name, 1); err == nil || !strings.Contains(err.Error(), "service name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := n.RegisterService("x", 0); err == nil {
		t.Error("port 0 was taken")
	}
	for i := range 256 {
		register(t, n, "x", mdpconn.Port(i+1))
	}
	if _, err := n.RegisterService("x", 1000); err == nil {
		t.Error("257 services were taken")
	}
	if err := n.LookupServices(context.Background(), "a b", nil); err == nil {
		t.Error("a name that is none was looked up")
	}
}

// TestServiceQuestions: stock asks with any data; a pattern says which are meant.
func TestServiceQuestions(t *testing.T) {
	s := overlay.Service{Name: "demo", Protocol: "msp", Port: 5}
	for question, want := range map[string]bool{
		"?": true, "*": true, "demo.msp.*": true, "*.msp.*": true, "demo.msp.port": true, "demo.mdp.port": true, "d?mo.msp.*": true,
		"": false, "other.msp.*": false, "dem.msp.*": false, "[.msp.": false,
		"demo.msp." + strings.Repeat("*", 119): true, "demo.msp." + strings.Repeat("*", 120): false,
	} {
		if got := mdpconn.AsksFor(question, s); got != want {
			t.Errorf("%q asks for demo: %v, want %v", question, got, want)
		}
	}
}

// TestSignedServiceQuestions: a question that is signed gets answers that are
// signed, next door and two hops away, for one and for all; but not if the
// signature fails, and of a node without services not even the question for a key.
func TestSignedServiceQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := announcedLine(t, 4)
		asks := m.nodes[0]
		in := accepting(t, asks, 2000, mdpconn.AcceptSigned)
		for _, n := range m.nodes[1:3] {
			register(t, n, "chat", 5000)
			register(t, n, "files", 80)
		}
		near, far := m.nodes[1].Primary(), m.nodes[2].Primary()
		for to, answers := range map[mdpconn.SID][]mdpconn.SID{near: {near}, far: {far}, mdpconn.All: {near, far}} {
			for range 3 { // the first brings keys, to the one that was asked and to who asks
				for len(in) > 0 {
					<-in
				}
				sendMode(t, asks, mdpconn.Signed, mdpconn.Addr{SID: to, Port: 11}, 0, "chat.msp.*")
				time.Sleep(time.Second)
			}
			for range answers {
				d := take(t, "an answer", in)
				if d.Mode != mdpconn.Signed || !slices.Contains(answers, d.Remote.SID) || d.Remote.Port != 11 || string(d.Data) != "chat.msp.port=5000" {
					t.Errorf("to %v: got %+v", to, d)
				}
				d.Release()
			}
			in.want(t, "more answers")
		}
		if s := m.nodes[3].Stats(); s.Received.Lookups == 0 || s.Dropped.SignKeyUnknown != 0 {
			t.Errorf("a node without services: %+v, %+v", s.Received, s.Dropped)
		}
	})
}

// TestServiceQuestionsFromServicePorts: the answer to a question from a port where
// stock nodes take nothing but what has its form could end one: it is not given,
// and ends no node of ours either.
func TestServiceQuestionsFromServicePorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{})
		register(t, n, "chat", 5000)
		asks := newPuppet(t, network, network.Link(), identity(t), n.Primary())
		key, err := asks.id.SharedKey(n.Primary())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			port uint32
			want uint64
		}{
			{2000, 2}, // not to the signed one, which has the node ask for the key
			{2, 0}, {4, 0}, {5, 0}, {8, 0}, {1, 3}, {7, 3}, {11, 3}, {uint32(mdpconn.MaxPort), 3},
		} {
			ports := overlay.Ports{Destination: 11, Source: c.port}
			plain, err := overlay.AppendPorts(nil, ports)
			if err != nil {
				t.Fatal(err)
			}
			pl := overlay.Payload{
				Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(n.Primary())),
				Type: overlay.TypeData, Body: append(plain, "*"...),
			}
			before := n.Stats().Sent.Services
			asks.say(l.LocalAddr(), pl)
			pl.Flags, pl.Body = overlay.OneHop|overlay.Signed, signedBy(t, asks.id, ports, "*")
			asks.say(l.LocalAddr(), pl)
			asks.say(l.LocalAddr(), sealed(t, key, n.Primary(), ports, "*"))
			time.Sleep(time.Second)
			asks.tellKey(l.LocalAddr(), n.Primary())
			if got := n.Stats().Sent.Services - before; got != c.want {
				t.Errorf("%d answers to port %d, want %d: to a plain, a signed and an enciphered question", got, c.port, c.want)
			}
		}
	})
}

// TestForgedServiceQuestion: a question that somebody else has signed gets no
// answer; the one whose it is said to be is asked for the key.
func TestForgedServiceQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{})
		register(t, n, "chat", 5000)
		liar := newPuppet(t, network, network.Link(), identity(t), n.Primary())
		for _, signer := range []*mdpconn.Identity{identity(t), liar.id} {
			body := signedBy(t, signer, overlay.Ports{Destination: 11, Source: 2000}, "*")
			for range 3 {
				liar.say(l.LocalAddr(), overlay.Payload{
					Flags: overlay.OneHop | overlay.Signed, Destination: overlay.To(overlay.SID(n.Primary())),
					Type: overlay.TypeData, Body: body,
				})
				time.Sleep(time.Second)
				liar.tellKey(l.LocalAddr(), n.Primary())
				time.Sleep(time.Second)
			}
			answers := 0
			for _, h := range liar.take() {
				if mode, _ := h.payload.Flags.Mode(); mode == overlay.ModeSigned {
					answers++
				}
			}
			if (answers > 0) != (signer == liar.id) {
				t.Errorf("signed by %v: %d answers", signer.SID(), answers)
			}
		}
	})
}

// TestServiceQuestionsAreBounded: a flood of questions that nothing answers is not
// looked at beyond a rate.
func TestServiceQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New(memnet.Config{})
		n, l := newNode(t, network, mdpconn.Config{})
		register(t, n, "chat", 5000)
		stranger := newPuppet(t, network, network.Link(), identity(t), n.Primary())
		body, err := overlay.AppendPorts(nil, overlay.Ports{Destination: 11, Source: 2000})
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			stranger.say(l.LocalAddr(), overlay.Payload{
				Flags: overlay.OneHop, Destination: overlay.To(overlay.SID(n.Primary())),
				Type: overlay.TypeData, Body: append(body, "other.msp.*"...),
			})
		}
		synctest.Wait()
		if s := n.Stats(); s.Received.Lookups != 300 || s.Dropped.AnswerLimit != 200 {
			t.Errorf("%d questions heard, %d dropped; want 300, 200", s.Received.Lookups, s.Dropped.AnswerLimit)
		}
	})
}
