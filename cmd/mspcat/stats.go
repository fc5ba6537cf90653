package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"mesh.example/msp/mspnet"
)

// printStats prints what a connection has done, on stderr.
func (p *program) printStats(conn *mspnet.Conn, took time.Duration) {
	s := conn.Stats()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("time", "%s", short(took))
	row("delivered", "%d bytes, %s", s.BytesAcked, rate(int64(s.BytesAcked), took))
	row("received", "%d bytes, %s", s.BytesReceived, rate(int64(s.BytesReceived), took))
	row("packets", "%d sent, %d received", s.PacketsSent, s.PacketsReceived)
	row("repeated", "%d messages sent again, %d time-outs, %d received again", s.Retransmitted, s.Timeouts, s.Duplicates)
	if s.Marked+s.Heeded > 0 {
		row("marked", "for congestion on the way: %d packets received, %d sent", s.Marked, s.Heeded)
	}
	row("round trip", "%s ± %s", short(s.RTT), short(s.RTTVar))
	row("window", "%d messages", s.Window)
	w.Flush()
	p.say("connection with %v\n%s", conn.RemoteAddr(), strings.TrimRight(b.String(), "\n"))
}

// rate returns bytes per time as text, in units of a million.
func rate(bytes int64, took time.Duration) string {
	if took <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MB/s", float64(bytes)/1e6/took.Seconds())
}

// short returns a duration as text, with three digits or so.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
