package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mdpconn/servald"
	"mesh.example/msp/mspnet"
)

// options are the flags of the commands that open connections.
type options struct {
	via        via
	identity   string
	bind       hostPort
	interfaces interfaceList
	peers      peerList
	wait       wait
	keepOpen   bool
	once       bool
	forward    forwardAddr
	service    serviceName
	noAnnounce bool
	silent     bool
	congestion congestion
	stats      bool
	verbose    int
}

// addNodeFlags adds those that say what the node is.
func (o *options) addNodeFlags(f *pflag.FlagSet) {
	f.Var(&o.via, "via", "use a running `servald[:INSTANCE]` and its identity (INSTANCE: its instance path; default: $SERVALINSTANCE_PATH, then stock's)")
	f.StringVarP(&o.identity, "identity", "i", "", "`KEYFILE` of the identity to use (see mspcat key)")
	f.Var(&o.bind, "bind", "`HOST:PORT` of the UDP socket (default: a free port of all IPv4 addresses)")
	f.Var(&o.interfaces, "interface", "use the network interface `MATCH[:TYPE[:PORT]]` as stock would, rather than a socket on a free port: "+
		"MATCH is a name or pattern such as eth*, an IPv4 address or network; TYPE wifi (default), ethernet or radio; PORT 4110 unless told; may be repeated")
	f.CountVarP(&o.verbose, "verbose", "v", "log to stderr; twice: every packet")
}

func (o *options) addPipeFlags(f *pflag.FlagSet) {
	o.addNodeFlags(f)
	f.Var(&o.peers, "peer", "where the SID may be found, as `udp:HOST:PORT`; may be repeated")
	f.Var(&o.forward, "forward", "join `[HOST:]TCPPORT` instead of stdin and stdout: listening connects there, connecting listens there")
	f.BoolVar(&o.once, "once", false, "serve a single connection, also with --forward")
	f.Var(&o.congestion, "congestion", "avoid congestion by `ALGORITHM`, bbr or cubic, in what is sent to nodes like this one")
	f.BoolVar(&o.stats, "stats", false, "print the connection's statistics on stderr at its end")
}

func (o *options) addConnectFlags(f *pflag.FlagSet) {
	f.VarP(&o.wait, "wait", "w", "give up if the peer has not answered after `DURATION` (default 10s without an answer)")
}

func (o *options) addListenFlags(f *pflag.FlagSet) {
	f.Lookup("peer").Usage += " (a listener needs none and ignores it)"
	f.Var(&o.service, "service", "be found by `NAME` (see mspcat lookup)")
	f.BoolVarP(&o.keepOpen, "keep-open", "k", false, "serve one connection after the other, stdin going to the first that wants it")
	f.BoolVar(&o.noAnnounce, "no-announce", false, "do not announce the SID on the network: the other side needs --peer")
	f.BoolVar(&o.silent, "silent", false, "do not answer calls to ports where nothing listens")
}

// onlyListening refuses flags that are of no use when connecting.
func onlyListening(f *pflag.FlagSet) error {
	for _, name := range []string{"service", "keep-open", "no-announce", "silent"} {
		if f.Changed(name) {
			return usagef("--%s is for listening: expected -l or the command listen with it", name)
		}
	}
	return nil
}

// checkVia refuses flags that exclude each other, mean nothing to a daemon, or
// nothing to this host. Those that tell where a SID is found are taken and without
// effect: the daemon knows.
func (o *options) checkVia() error {
	switch {
	case len(o.interfaces) > 0 && o.bind != "":
		return usagef("--interface %s with --bind %s: expected one of them", &o.interfaces, &o.bind)
	case !o.via.servald:
		return o.checkBind()
	case len(o.interfaces) > 0:
		return usagef("--interface %s with --via servald: expected no --interface, as the daemon's are used", &o.interfaces)
	case o.identity != "":
		return usagef("--identity %s with --via servald: expected no --identity, as the daemon's own is used", o.identity)
	case o.bind != "":
		return usagef("--bind %s with --via servald: expected no --bind, as the daemon's interfaces are used", &o.bind)
	}
	return nil
}

// logger returns the logger that --verbose asks for.
func (o *options) logger(p *program) *slog.Logger {
	level := slog.LevelInfo
	switch {
	case o.verbose == 0:
		return slog.New(slog.DiscardHandler)
	case o.verbose > 1:
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// A via is what carries the datagrams: a node of our own, or a servald daemon.
type via struct {
	servald  bool
	instance string // "" for what the environment says
}

func (v *via) Set(s string) error {
	name, instance, named := strings.Cut(s, ":")
	if name != "servald" {
		return errors.New("expected servald or servald:INSTANCE")
	}
	if named {
		if _, err := servald.SocketName(instance); err != nil || instance == "" {
			return errors.New("expected the absolute path of servald's instance behind servald:, such as servald:/var/serval")
		}
	}
	*v = via{true, instance}
	return nil
}

func (v *via) Type() string { return "servald[:INSTANCE]" }

func (v *via) String() string {
	switch {
	case !v.servald:
		return ""
	case v.instance == "":
		return "servald"
	}
	return "servald:" + v.instance
}

// A congestion is the name of a way of congestion control.
type congestion struct{ mspnet.Congestion }

func (c *congestion) Set(s string) error {
	a, err := mspnet.ParseCongestion(s)
	if err != nil {
		return errors.New("expected bbr or cubic") // the flag's error names the value
	}
	c.Congestion = a
	return nil
}

func (c *congestion) Type() string { return "ALGORITHM" }

// A wait is a duration above zero; a number alone is of seconds, as with nc.
type wait time.Duration

func (w *wait) Set(s string) error {
	d, err := time.ParseDuration(s)
	if seconds, e := strconv.ParseUint(s, 10, 31); e == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return errors.New("expected a duration above zero such as 5s or 1m30s")
	}
	*w = wait(d)
	return nil
}

func (w *wait) Type() string { return "duration" }

func (w *wait) String() string {
	if *w == 0 {
		return ""
	}
	return time.Duration(*w).String()
}

// A hostPort is a UDP address as text. Its host may be a name.
type hostPort string

func (h *hostPort) Set(s string) error {
	if err := checkHostPort(s, 0); err != nil {
		return err
	}
	*h = hostPort(s)
	return nil
}

func (h *hostPort) Type() string   { return "hostport" }
func (h *hostPort) String() string { return string(*h) }

// checkHostPort refuses what is no HOST:PORT with a port from lowest on.
func checkHostPort(s string, lowest uint64) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" && lowest > 0 {
		return fmt.Errorf("expected HOST:PORT such as 192.0.2.1:4110 or [2001:db8::1]:4110")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < lowest {
		return fmt.Errorf("UDP port %q: expected a number from %d to 65535", port, lowest)
	}
	return nil
}

// An interfaceList is what --interface gave.
type interfaceList []mdpconn.Interface

func (l *interfaceList) Set(s string) error {
	i, err := mdpconn.ParseInterface(s)
	if err != nil {
		return cmp.Or(errors.Unwrap(err), err) // the flag's error names the value
	}
	*l = append(*l, i)
	return nil
}

func (l *interfaceList) Type() string { return "MATCH[:TYPE[:PORT]]" }

func (l *interfaceList) String() string {
	var words []string
	for _, i := range *l {
		words = append(words, i.String())
	}
	return strings.Join(words, " ")
}

// A peerList is the UDP addresses given by --peer, without their "udp:".
type peerList []string

func (l *peerList) Set(s string) error {
	address, ok := strings.CutPrefix(s, "udp:")
	if !ok {
		return errors.New("expected udp:HOST:PORT")
	}
	if err := checkHostPort(address, 1); err != nil {
		return err
	}
	*l = append(*l, address)
	return nil
}

func (l *peerList) Type() string   { return "udp:HOST:PORT" }
func (l *peerList) String() string { return strings.Join(*l, " ") }

// parsePort reads an MDP port.
func parsePort(s string) (mdpconn.Port, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || mdpconn.Port(n) > mdpconn.MaxPort {
		return 0, usagef("port %q: expected a decimal number from 1 to %d", s, mdpconn.MaxPort)
	}
	return mdpconn.Port(n), nil
}

func isPort(s string) bool {
	_, err := parsePort(s)
	return err == nil
}

// parseTarget reads the peer's address from "SID PORT", "SID@HOST:PORT PORT",
// "SID:PORT" or "SID:PORT@HOST:PORT", and the UDP address in it, if any.
func parseTarget(args []string) (to mdpconn.Addr, hint string, err error) {
	const want = "expected SID PORT, or SID:PORT@HOST:PORT as a listener's address is printed"
	if len(args) < 1 || len(args) > 2 {
		return to, "", usagef("%d arguments: %s", len(args), want)
	}
	sid, hint, hinted := strings.Cut(args[0], "@")
	if hinted {
		if err := checkHostPort(hint, 1); err != nil {
			return to, "", usagef("UDP address %q of %q: %w", hint, args[0], err)
		}
	}
	port := ""
	if len(args) == 2 {
		port = args[1]
	} else {
		var ok bool
		if sid, port, ok = strings.Cut(sid, ":"); !ok {
			return to, "", usagef("%q has no port: %s", args[0], want)
		}
	}
	if to.SID, err = mdpconn.ParseSID(sid); err != nil {
		return to, "", &usageError{err}
	}
	to.Port, err = parsePort(port)
	return to, hint, err
}
