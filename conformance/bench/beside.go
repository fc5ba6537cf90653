package main

import (
	"fmt"
	"time"
)

const (
	besideStart = 2 * time.Second  // both are past their start by then
	besideSpan  = 10 * time.Second // and are compared over this
)

// A flow is one transport's bulk stream among others on the link.
type flow struct {
	server, client *proc
	before         ProcStat
	mbit           float64
}

// runBeside puts a bulk stream of t beside one of the rival, through the link's
// queue, and measures what each of them gets.
func runBeside(p *place, w workload, t *Transport, r *Record) error {
	other, err := findTransport(rival)
	if err != nil {
		return err
	}
	var flows []*flow
	for _, t := range []*Transport{t, other} {
		f, err := startFlow(p, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		defer f.stop()
		flows = append(flows, f)
	}
	time.Sleep(besideStart)
	for _, f := range flows {
		if f.before, err = f.server.ask("stat"); err != nil {
			return err
		}
	}
	time.Sleep(besideSpan)
	for _, f := range flows {
		if err := f.count(); err != nil {
			return err
		}
	}
	own, others := flows[0].mbit, flows[1].mbit
	r.M["mbit_per_s"], r.M["rival_mbit_per_s"] = own, others
	if sum := own + others; sum > 0 {
		r.M["share"] = own / sum
		r.M["smaller_share"] = min(own, others) / sum
	}
	return nil
}

func startFlow(p *place, t *Transport) (*flow, error) {
	server, addr, err := startServer(t, p.server, p.listen, "raw")
	if err != nil {
		return nil, err
	}
	client, err := startClient(t, p.client, addr, "bulk", []string{"--size=100000000000"})
	if err != nil {
		server.kill()
		return nil, err
	}
	if err := client.begin(time.Minute, func() error { return nil }); err != nil {
		client.kill()
		server.kill()
		return nil, err
	}
	return &flow{server: server, client: client}, nil
}

func (f *flow) stop() {
	f.client.kill()
	f.server.kill()
}

func (f *flow) count() error {
	after, err := f.server.ask("stat")
	if err != nil {
		return err
	}
	seconds := float64(after.Mono-f.before.Mono) / 1e9
	f.mbit = float64(after.BulkBytes-f.before.BulkBytes) * 8 / 1e6 / seconds
	return nil
}
