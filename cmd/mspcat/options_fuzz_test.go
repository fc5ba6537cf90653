package main

import (
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"mesh.example/msp/mdpconn"
)

// FuzzArguments gives anything to what reads arguments: nothing panics, and what
// is taken is what was written.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{
		"servald:/var/serval", "1.5s", "3", "localhost:4110", "[::1]:0", "udp:10.0.0.1:4110", "eth*:radio:4110", "a:b:c:d", "65536", "-1", "cubic",
		strings.Repeat("ab", 32) + ":80", "msp://" + strings.Repeat("AB", 32) + ":80", "\x00", "",
	} {
		f.Add(s, "80")
	}
	f.Fuzz(func(t *testing.T, s, second string) {
		var v via
		if v.Set(s) == nil && v.String() != s {
			t.Errorf("--via %q became %q", s, v.String())
		}
		var w wait
		if w.Set(s) == nil && w <= 0 {
			t.Errorf("--wait %q became %v", s, &w)
		}
		var h hostPort
		if h.Set(s) == nil {
			_, port, err := net.SplitHostPort(string(h))
			if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
				t.Errorf("--bind %q became %q", s, h)
			}
		}
		var l peerList
		if l.Set(s) == nil && len(l) != 1 {
			t.Errorf("--peer %q became %v", s, l)
		}
		var c congestion
		if c.Set(s) == nil && c.String() != s {
			t.Errorf("--congestion %q became %v", s, &c)
		}
		var i interfaceList
		if i.Set(s) == nil && len(i) != 1 {
			t.Errorf("--interface %q became %v", s, i)
		}
		if p, err := parsePort(s); err == nil && (p == 0 || p > mdpconn.MaxPort) {
			t.Errorf("port %q became %d", s, p)
		}
		for _, args := range [][]string{{s}, {s, second}} {
			if to, _, err := parseTarget(args); err == nil && (to.Port == 0 || to.Port > mdpconn.MaxPort || to.SID.Check() != nil) {
				t.Errorf("%q became %v", args, to)
			}
		}
		if q := shellQuote(s); runtime.GOOS != "windows" && s != "" && unquote(q) != s {
			t.Errorf("%q is quoted as %s", s, q)
		}
	})
}

// unquote reads a word as a shell does that knows single quotes, and backslashes
// outside of them.
func unquote(q string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(q); i++ {
		switch {
		case q[i] == '\'':
			quoted = !quoted
		case q[i] == '\\' && !quoted && i+1 < len(q):
			i++
			b.WriteByte(q[i])
		default:
			b.WriteByte(q[i])
		}
	}
	return b.String()
}
