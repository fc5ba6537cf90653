package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// A place is where both ends run: one namespace, or two with a link between.
type place struct {
	link   string
	spec   LinkSpec
	client string // namespace; "" is where this process is
	server string
	listen string
	pair   *NetPair
	up     *Link // while something is measured; nil on loopback
}

// newPlace makes the namespaces of a link. Without root, loopback is that of
// the host.
func newPlace(link, prefix string) (*place, error) {
	if link == loopback {
		p := &place{link: link, listen: "127.0.0.1:0"}
		if canLink() != nil {
			return p, nil
		}
		p.client, p.server = prefix+"lo", prefix+"lo"
		return p, newNS(p.client)
	}
	spec, ok := findLink(link)
	if !ok {
		return nil, fmt.Errorf("link %q is not known; want one of %s", link, strings.Join(linkNames(), ", "))
	}
	if err := canLink(); err != nil {
		return nil, err
	}
	pair, err := newNetPair(prefix + link)
	if err != nil {
		return nil, err
	}
	return &place{link, spec, pair.ns[0], pair.ns[1], pair.ip[1] + ":0", pair, nil}, nil
}

func (p *place) Close() {
	if p.pair != nil {
		p.pair.Close()
	} else if p.client != "" {
		delNS(p.client)
	}
}

// measure runs one workload with one transport, once.
func measure(p *place, w workload, t *Transport, rep int) Record {
	r := Record{Link: p.link, Workload: w.name, Transport: t.Name, Rep: rep, Args: w.args,
		When: time.Now().UTC().Format(time.RFC3339), M: make(map[string]float64), Load1: load1()}
	p.up = nil
	if p.pair != nil {
		p.up = startLink(p.pair, p.spec, uint64(rep))
	}
	run := runPair
	if w.job == "" {
		run = runBeside
	}
	if err := run(p, w, t, &r); err != nil {
		r.Err = err.Error()
	}
	if p.up != nil {
		ab, ba := p.up.Stop()
		r.AB, r.BA = &ab, &ba
		if n := r.M["verified_bytes"]; n > 0 {
			r.M["wire_per_byte"] = float64(ab.InBytes+ba.InBytes) / n
		}
	}
	return r
}

// runPair runs a server and a client and puts what both measured into r.
func runPair(p *place, w workload, t *Transport, r *Record) error {
	if p.link == loopback && w.name == "bulk" && t.LoopbackBytes > 0 {
		r.Args = append([]string{"--size=" + strconv.FormatInt(t.LoopbackBytes, 10)}, w.args[1:]...)
	}
	server, addr, err := startServer(t, p.server, p.listen, w.mode)
	if err != nil {
		return err
	}
	defer server.kill()
	how := "stat"
	if w.job == "idle" {
		how = "collect"
	}
	before, err := server.ask(how)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	client, err := startClient(t, p.client, addr, w.job, r.Args)
	if err != nil {
		return err
	}
	defer client.kill()
	if w.job == "bulk" {
		baseline := func() (err error) {
			if p.up != nil {
				p.up.countAnew()
			}
			before, err = server.ask(how)
			return err
		}
		if err := client.begin(w.timeout, baseline); err != nil {
			return err
		}
	}
	var res Result
	if err := client.wait("RESULT", w.timeout, &res); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	after, err := server.ask(how)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	after.CPU -= before.CPU
	r.Client, r.Server, r.Capped = &res.Stat, &after, res.Capped
	for k, v := range res.M {
		r.M[k] = v
	}
	r.M["rss_client"], r.M["rss_server"] = float64(res.Stat.PeakRSS), float64(after.PeakRSS)
	if res.Err != "" {
		return fmt.Errorf("client: %s", res.Err)
	}
	switch w.job {
	case "bulk":
		return bulkMetrics(r, res, after)
	case "added": // what adds nothing because it does not move is no merit
		r.M["mbit_per_s"] = float64(after.BulkBytes) * 8 / 1e6 / (float64(after.Mono-res.Start) / 1e9)
	case "idle":
		return idleMetrics(r, server, before, after)
	}
	return nil
}

// bulkMetrics counts what the receiver had verified. A capped run ends, for it,
// when the receiver was asked.
func bulkMetrics(r *Record, res Result, server ProcStat) error {
	if server.BulkBad {
		return fmt.Errorf("the receiver got other bytes than were sent")
	}
	n, seconds := res.M["bytes"], res.M["seconds"]
	if r.Capped {
		n, seconds = float64(server.BulkBytes), float64(server.Mono-res.Start)/1e9
	}
	r.M["verified_bytes"] = n
	r.M["mb_per_s"] = n / 1e6 / seconds
	r.M["mbit_per_s"] = n * 8 / 1e6 / seconds
	r.M["jain"] = server.Jain
	if n > 0 {
		r.M["cpu_send_s_per_gb"] = r.Client.CPU / (n / 1e9)
		r.M["cpu_receive_s_per_gb"] = server.CPU / (n / 1e9)
		r.M["cpu_s_per_gb"] = (r.Client.CPU + server.CPU) / (n / 1e9)
	}
	return nil
}

// idleMetrics adds the server's side, and the worse of both ends.
func idleMetrics(r *Record, server *proc, before, after ProcStat) error {
	perConn(r.M, "server_", before, after, max(r.M["opened"], 1))
	st, err := server.ask("idle")
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	r.M["server_idle_cpu"] = st.IdleCPU
	for _, k := range []string{"rss_per_conn", "goroutines_per_conn", "idle_cpu"} {
		r.M["worse_"+k] = math.Max(r.M[k], r.M["server_"+k])
	}
	return nil
}

func load1() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}
