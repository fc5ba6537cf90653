package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mesh.example/msp/mdpconn"
)

// peersWait is how long peers listens unless told. Ticks come every 500 ms.
const peersWait = wait(3 * time.Second)

func (p *program) peersCommand() *cobra.Command {
	opts := options{wait: peersWait}
	asJSON := false
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "List whom this host reaches through the mesh, and how",
		Long: `Listen for neighbours for some seconds and print one line for each SID that is
reached, of them or through them: the SID, how many hops away it is, the next hop,
the next hop's UDP address, how long ago the SID or its next hop was heard, and the
round trip time, if it was measured; "-" is not known. What is more than a hop away
is what neighbours say. Then come the sizes of the node's tables, and their limits;
"-" is a table that this node does not have.

With --json each SID is an object on a line of its own, with times in RFC 3339 and
seconds, and the last line holds the tables. With --via servald it is the daemon
that knows; it is asked once.

The node has a fresh identity unless --identity names one, and relays for nobody.

Exit status:
  0    printed, also if there is nobody
  1    no node, no daemon, or stdout is broken
  2    a mistake in the command line
  130  interrupted before the end (SIGTERM: 143)`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q: expected no arguments", args[0])
			}
			return p.peers(cmd.Context(), &opts, asJSON)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	opts.addNodeFlags(cmd.Flags())
	cmd.Flags().VarP(&opts.wait, "wait", "w", "how long to listen, a `DURATION`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an object per line, for scripts")
	return cmd
}

// peers lists whom a node reaches.
func (p *program) peers(ctx context.Context, opts *options, asJSON bool) error {
	ints := catchInterrupts(ctx)
	defer ints.release()
	node, closeNode, err := p.peersNode(opts)
	if err != nil {
		return err
	}
	defer closeNode()
	return p.listPeers(node, opts, ints, asJSON)
}

// listPeers listens, and prints whom the node reaches then.
func (p *program) listPeers(node *mdpconn.Node, opts *options, ints *interrupts, asJSON bool) error {
	if !opts.via.servald {
		defer node.Announce()()
		select {
		case <-time.After(time.Duration(opts.wait)):
		case <-ints.first:
			return &interruptedError{ints.signal, "before the list was made"}
		}
	}
	rows, tables := peerRows(node), node.Stats().Tables
	print := printPeers
	if asJSON {
		print = printPeersJSON
	}
	if _, err := p.stdout.Write(print(rows, tables, time.Now())); err != nil {
		return &stdoutError{err}
	}
	if len(rows) == 0 {
		where := "heard nobody in " + opts.wait.String()
		if opts.via.servald {
			where = "servald reaches nobody"
		}
		p.say("no peers: %s", where)
	}
	return nil
}

// peersNode makes the node that listens. It is there too shortly to relay.
func (p *program) peersNode(opts *options) (node *mdpconn.Node, closeNode func(), err error) {
	if err := opts.checkVia(); err != nil {
		return nil, nil, err
	}
	log := opts.logger(p)
	if opts.via.servald {
		if node, err = opts.newServaldNode("", log); err != nil {
			return nil, nil, err
		}
		return node, func() { node.Close() }, nil
	}
	key, err := p.dialIdentity(opts)
	if err != nil {
		return nil, nil, err
	}
	config := opts.config(key.id, false, log)
	config.Relay = mdpconn.RelayOff
	if node, err = mdpconn.NewNode(config); err != nil {
		key.close()
		return nil, nil, err
	}
	p.noteInterfaces(opts, node)
	return node, func() { node.Close(); key.close() }, nil
}

// A peerRow is somebody that is reached.
type peerRow struct {
	SID      mdpconn.SID    `json:"sid"`
	Hops     int            `json:"hops"`
	NextHop  mdpconn.SID    `json:"nextHop"`
	Endpoint netip.AddrPort `json:"endpoint,omitzero"`
	Heard    time.Time      `json:"lastHeard,omitzero"`
	RTT      float64        `json:"rtt,omitempty"` // seconds
}

// peerRows lists whom a node reaches, the near ones first: what its own datagrams
// showed, and the routes that neighbours tell of.
func peerRows(node *mdpconn.Node) []peerRow {
	rows := make(map[mdpconn.SID]peerRow)
	for _, r := range node.Routes() {
		rows[r.SID] = peerRow{r.SID, r.Hops, r.Via, r.Endpoint, r.Heard, r.RTT.Seconds()}
	}
	for _, info := range node.Peers() {
		if info.Hops == 0 {
			continue
		}
		row := rows[info.Remote]
		if row.Hops == 0 || row.Hops > info.Hops {
			row = peerRow{SID: info.Remote, Hops: info.Hops, NextHop: info.Via, Endpoint: info.Endpoint}
			if info.Hops == 1 {
				row.NextHop = info.Remote
			}
		}
		if info.LastHeard.After(row.Heard) {
			row.Heard = info.LastHeard
		}
		row.RTT = cmp.Or(info.RTT.Seconds(), row.RTT)
		rows[info.Remote] = row
	}
	list := make([]peerRow, 0, len(rows))
	for _, row := range rows {
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b peerRow) int {
		return cmp.Or(cmp.Compare(a.Hops, b.Hops), bytes.Compare(a.SID[:], b.SID[:]))
	})
	return list
}

// printPeers gives the table as text.
func printPeers(rows []peerRow, tables mdpconn.TableStats, now time.Time) []byte {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(rows) > 0 {
		fmt.Fprintln(w, "SID\tHOPS\tNEXT HOP\tENDPOINT\tHEARD\tRTT")
	}
	for _, r := range rows {
		next, endpoint, heard, rtt := "-", "-", "-", "-"
		if r.NextHop != (mdpconn.SID{}) {
			next = r.NextHop.String()
		}
		if r.NextHop == r.SID {
			next = "direct"
		}
		if r.Endpoint.IsValid() {
			endpoint = r.Endpoint.String()
		}
		if !r.Heard.IsZero() {
			heard = now.Sub(r.Heard).Round(100*time.Millisecond).String() + " ago"
		}
		if r.RTT > 0 {
			rtt = short(time.Duration(r.RTT * float64(time.Second)))
		}
		fmt.Fprintf(w, "%v\t%d\t%s\t%s\t%s\t%s\n", r.SID, r.Hops, next, endpoint, heard, rtt)
	}
	w.Flush()
	if len(rows) > 0 {
		fmt.Fprintln(&b)
	}
	fmt.Fprintln(w, "TABLE\tENTRIES\tLIMIT")
	for _, t := range tableRows(tables) {
		fmt.Fprintln(w, strings.Join(t[:], "\t"))
	}
	w.Flush()
	return b.Bytes()
}

// tableRows names the node's tables, with their sizes and limits.
func tableRows(t mdpconn.TableStats) (rows [][3]string) {
	add := func(name string, n, limit int) {
		most := "-" // this node has no such table
		if limit > 0 {
			most = fmt.Sprint(limit)
		}
		rows = append(rows, [3]string{name, fmt.Sprint(n), most})
	}
	add("peers", t.Peers, t.PeersLimit)
	add("strangers", t.Strangers, t.StrangerLimit)
	add("hints", t.Hints, t.HintsLimit)
	add("SIDs heard", t.Heard, t.HeardLimit)
	add("sign keys", t.SignKeys, t.SignKeysLimit)
	add("waiting datagrams", t.Waiting, t.WaitingLimit)
	add("neighbours", t.Neighbours, t.NeighboursLimit)
	add("unproven neighbours", t.Unproven, t.UnprovenLimit)
	add("routes", t.Routes, t.RoutesLimit)
	add("links told", t.LinksTold, t.LinksToldLimit)
	add("sources relayed", t.Relayed, t.RelayedLimit)
	add("packets kept", t.Kept, t.KeptLimit)
	add("queued packets", t.Queued, t.QueuedLimit)
	return rows
}

// printPeersJSON gives it for scripts.
func printPeersJSON(rows []peerRow, tables mdpconn.TableStats, _ time.Time) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, r := range rows {
		e.Encode(r) // of plain fields, into memory
	}
	e.Encode(struct {
		Tables mdpconn.TableStats `json:"tables"`
	}{tables})
	return b.Bytes()
}
