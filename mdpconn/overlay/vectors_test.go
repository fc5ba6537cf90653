package overlay

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The vec types mirror testdata/overlay.json field by field: what is decoded is
// written into the same types and compared as a whole.

type vecFile struct {
	Description   string
	Identities    map[string]vecIdentity
	BoxSharedKeys map[string]string `json:"box_shared_keys"`
	Topology      map[string]string
	UDPPort       int `json:"udp_port"`
	Packets       []vecPacket
}

type vecIdentity struct {
	SID            string
	BoxSecretKey   string `json:"box_secret_key"`
	SignPublicKey  string `json:"sign_public_key"`
	SignSeed       string `json:"sign_seed"`
	Combined       bool
	Implementation string
}

type vecPacket struct {
	N        int
	Scenario string
	Link     string
	T        float64 `json:"t_ms"`
	From, To string
	Src, Dst string
	Hex      string
	Decoded  vecDecoded
}

type vecDecoded struct {
	Version       int
	Encapsulation int
	Sender        vecAddress
	Flags         int
	FlagNames     []string `json:"flag_names"`
	Interface     int
	Seq           *int
	Payloads      []vecPayload
}

type vecAddress struct{ Code, Wire, SID string }

// UnmarshalJSON also takes the string "broadcast" for a destination.
func (a *vecAddress) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, &a.Code)
	}
	type plain vecAddress
	return json.Unmarshal(b, (*plain)(a))
}

type vecPayload struct {
	Flags           int
	FlagNames       []string `json:"flag_names"`
	Source          vecAddress
	Destination     vecAddress
	NextHop         *vecAddress `json:"next_hop"`
	BroadcastID     string      `json:"broadcast_id"`
	TTL, Queue      *int
	Type            int
	MDPSeq          *int   `json:"mdp_seq"`
	HeaderHex       string `json:"header_hex"`
	BodyOffset      int    `json:"body_offset"`
	Length          int
	Crypto          string
	Nonce           string
	SharedKey       string `json:"shared_key"`
	Signature       string
	SHA512          string
	SignatureValid  bool `json:"signature_valid"`
	Plaintext       string
	MDP             *vecMDP
	Explain         []vecExplain
	SourceNode      string `json:"source_node"`
	DestinationNode string `json:"destination_node"`
}

type vecMDP struct {
	DstPort     uint32 `json:"dst_port"`
	SrcPort     uint32 `json:"src_port"`
	SamePortBit bool   `json:"same_port_bit"`
	PortBytes   string `json:"port_bytes"`
	Data        string
	DataLen     int `json:"data_len"`
	Service     string
	LinkState   []vecLink
	KeyMap      *vecKeyMap
	Trace       []string
	MSP         any // not of this package: internal/stocktest checks it
}

type vecLink struct {
	Length      int
	Flags       int
	FlagNames   []string `json:"flag_names"`
	Receiver    vecAddress
	Version     int
	Transmitter *vecAddress
	Interface   *int
	AckSeq      *int   `json:"ack_seq"`
	AckMask     string `json:"ack_mask"`
	DropRate    *int   `json:"drop_rate"`
}

type vecKeyMap struct {
	Kind               string
	KeyType            int
	SignPub            string `json:"sign_pub"`
	Signature          string
	SignatureValid     bool `json:"signature_valid_over_sid"`
	DerivedFromSignKey bool `json:"sid_derived_from_sign_pub"`
}

type vecExplain struct {
	Item    string
	Prefix  string
	Matches []string
	SID     string
	Key     string
}

var loadVectors = sync.OnceValues(func() (*vecFile, error) {
	f, err := os.Open("testdata/overlay.json")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	v := new(vecFile)
	return v, d.Decode(v)
})

func vectors(t testing.TB) *vecFile {
	t.Helper()
	v, err := loadVectors()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sids are those of all identities: what a node of the lab has heard of.
func (v *vecFile) sids(t testing.TB) (all SIDs) {
	for _, id := range v.Identities {
		all = append(all, SID(unhex(t, id.SID)))
	}
	slices.SortFunc(all, func(a, b SID) int { return strings.Compare(string(a[:]), string(b[:])) })
	return all
}

func (v *vecFile) sid(t testing.TB, node string) SID {
	return SID(unhex(t, v.Identities[node].SID))
}

func (v *vecFile) node(sid SID) string {
	for name, id := range v.Identities {
		if id.SID == hex.EncodeToString(sid[:]) {
			return name
		}
	}
	return ""
}

func (v *vecFile) sharedKey(t testing.TB, a, b string) *[32]byte {
	key, ok := v.BoxSharedKeys[a+"-"+b]
	if !ok {
		key, ok = v.BoxSharedKeys[b+"-"+a]
	}
	if !ok {
		t.Fatalf("no shared key of %s and %s", a, b)
	}
	return (*[32]byte)(unhex(t, key))
}

// context gives what the receiver of a packet resolves in.
func (v *vecFile) context(t testing.TB, p *vecPacket) Context {
	ctx := Context{Resolver: v.sids(t)}
	if p.Scenario == "point_to_point_link" {
		ends := map[string]string{"B": "C", "C": "B"}
		ctx.Transmitter, ctx.Receiver = v.sid(t, p.From), v.sid(t, ends[p.From])
	}
	return ctx
}

// description turns what this package decodes into vec types.
type description struct {
	t   *testing.T
	v   *vecFile
	ctx Context
}

func number[T ~uint8](n T) *int { i := int(n); return &i }

func names(s fmt.Stringer) []string {
	if strings.HasPrefix(s.String(), "0x") {
		return nil
	}
	return strings.Split(s.String(), "|")
}

func describeAddress(a Address) vecAddress {
	if a.Wire == nil {
		return vecAddress{Code: "SENDER_SAME", SID: hex.EncodeToString(a.SID[:])}
	}
	code := a.Code.String()
	if a.Code.abbreviated() {
		code = "ABBREV"
	}
	return vecAddress{Code: code, Wire: hex.EncodeToString(a.Wire), SID: hex.EncodeToString(a.SID[:])}
}

func (d description) packet(b []byte) (out vecDecoded) {
	var p Packet
	if err := p.Parse(b, d.ctx); err != nil {
		d.t.Fatal(err)
	}
	out = vecDecoded{
		Version: int(p.Version), Encapsulation: int(p.Encapsulation), Sender: describeAddress(p.Sender),
		Flags: int(p.Flags), FlagNames: names(p.Flags), Interface: int(p.Interface),
	}
	if p.Flags&PacketSeq != 0 {
		out.Seq = number(p.Seq)
	}
	for pl := (Payload{}); len(p.rest) > 0; {
		start := len(b) - len(p.rest)
		if !p.Next(&pl) {
			d.t.Fatal(p.Err())
		}
		if err := pl.Check(); err != nil {
			d.t.Error(err)
		}
		q := d.payload(&pl)
		q.BodyOffset = len(b) - len(p.rest) - len(pl.Body)
		q.HeaderHex = hex.EncodeToString(b[start:q.BodyOffset])
		if p.Version > 0 {
			q.MDPSeq = number(pl.Seq)
		}
		out.Payloads = append(out.Payloads, q)
	}
	return out
}

func (d description) payload(pl *Payload) vecPayload {
	q := vecPayload{
		Flags: int(pl.Flags), FlagNames: names(pl.Flags), Source: describeAddress(pl.Source),
		Destination: vecAddress{Code: "broadcast"}, Type: int(pl.Type), Length: len(pl.Body),
		Crypto: "NONE", SourceNode: d.v.node(pl.Source.SID),
	}
	if pl.Flags&ToBroadcast == 0 {
		q.Destination, q.DestinationNode = describeAddress(pl.Destination), d.v.node(pl.Destination.SID)
	}
	if pl.Flooded() {
		q.BroadcastID = hex.EncodeToString(pl.BroadcastID[:])
	}
	if pl.Flags&OneHop == 0 {
		q.TTL, q.Queue = number(pl.TTL), number(pl.Queue)
		if pl.Flags&ToBroadcast == 0 {
			a := describeAddress(pl.NextHop)
			q.NextHop = &a
		}
	}
	switch pl.Type {
	case TypeExplain:
		q.Explain = d.explain(pl.Body)
	case TypeData:
		plaintext := d.open(pl, &q)
		q.Plaintext = hex.EncodeToString(plaintext)
		q.MDP = d.mdp(plaintext, pl.Source.SID)
	}
	return q
}

func (d description) open(pl *Payload, q *vecPayload) []byte {
	mode, err := pl.Flags.Mode()
	if err != nil {
		d.t.Fatal(err)
	}
	q.Crypto = strings.ToUpper(mode.String())
	var plaintext []byte
	switch mode {
	case ModePlain:
		plaintext = pl.Body
	case ModeCiphered:
		key := d.v.sharedKey(d.t, q.SourceNode, q.DestinationNode)
		nonce, nonceErr := Nonce(pl.Body)
		if plaintext, err = OpenBody(nil, key, pl.Body); err != nil || nonceErr != nil {
			d.t.Fatal(err, nonceErr)
		}
		q.Nonce, q.SharedKey = hex.EncodeToString(nonce[:]), hex.EncodeToString(key[:])
	case ModeSigned:
		signKey := (*[32]byte)(unhex(d.t, d.v.Identities[q.SourceNode].SignPublicKey))
		if plaintext, err = VerifyBody(signKey, pl.Body); err != nil {
			d.t.Fatal(err)
		}
		_, signature, _ := SplitSigned(pl.Body)
		sum := sha512.Sum512(plaintext)
		q.Signature, q.SHA512, q.SignatureValid = hex.EncodeToString(signature), hex.EncodeToString(sum[:]), true
	}
	return plaintext
}

var serviceNames = map[uint32]string{
	PortKeyMap: "KEYMAP", PortLinkState: "LINKSTATE", PortEcho: "ECHO", PortTrace: "TRACE",
	PortServiceDiscovery: "SERVICE_DISCOVERY", 18: "RHIZOME_SYNC_KEYS",
}

func (d description) mdp(plaintext []byte, source SID) *vecMDP {
	ports, data, err := ParsePorts(plaintext)
	if err != nil {
		d.t.Fatal(err)
	}
	m := &vecMDP{
		DstPort: ports.Destination, SrcPort: ports.Source, SamePortBit: plaintext[0]&1 != 0,
		PortBytes: hex.EncodeToString(plaintext[:len(plaintext)-len(data)]),
		Data:      hex.EncodeToString(data), DataLen: len(data), Service: serviceNames[ports.Destination],
	}
	if m.Service == "" {
		m.Service = serviceNames[ports.Source]
	}
	switch m.Service {
	case "LINKSTATE":
		m.LinkState = d.linkState(data, source)
	case "KEYMAP":
		m.KeyMap = d.keyMap(data, source)
	case "TRACE":
		trace, err := ParseTrace(data, d.ctx.Resolver)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, a := range trace {
			m.Trace = append(m.Trace, hex.EncodeToString(a.SID[:]))
		}
	}
	return m
}

func (d description) linkState(data []byte, source SID) (out []vecLink) {
	l := NewLinkState(data, BodyContext(source, d.ctx.Resolver))
	for r := (LinkRecord{}); len(l.rest) > 0; {
		n := len(l.rest)
		if !l.Next(&r) {
			d.t.Fatal(l.Err())
		}
		q := vecLink{
			Length: n - len(l.rest), Flags: int(r.Flags), FlagNames: names(r.Flags),
			Receiver: describeAddress(r.Receiver), Version: int(r.Version),
		}
		if r.Flags&LinkNoPath == 0 {
			a := describeAddress(r.Transmitter)
			q.Transmitter = &a
		}
		if r.Flags&LinkInterface != 0 {
			q.Interface = number(r.Interface)
		}
		if r.Flags&LinkAck != 0 {
			q.AckSeq, q.AckMask = number(r.Ack.Seq), fmt.Sprintf("%08x", r.Ack.Mask)
		}
		if r.Flags&LinkDropRate != 0 {
			q.DropRate = number(r.DropRate)
		}
		out = append(out, q)
	}
	return out
}

func (d description) keyMap(data []byte, source SID) *vecKeyMap {
	m, err := ParseKeyMap(data)
	if err != nil {
		d.t.Fatal(err)
	}
	if !m.Response {
		return &vecKeyMap{Kind: "REQUEST", KeyType: keyTypeSign}
	}
	derived, err := SIDFromSignKey(m.SignKey[:])
	return &vecKeyMap{
		Kind: "RESPONSE", KeyType: keyTypeSign, SignPub: hex.EncodeToString(m.SignKey[:]),
		Signature: hex.EncodeToString(m.Signature[:]), SignatureValid: m.Verify(source),
		DerivedFromSignKey: err == nil && derived == source,
	}
}

func (d description) explain(body []byte) (out []vecExplain) {
	e := NewExplain(body)
	for item := (ExplainItem{}); e.Next(&item); {
		var q vecExplain
		switch item.Kind {
		case AskPrefix:
			q = vecExplain{Item: "ASK_PREFIX", Prefix: hex.EncodeToString(item.Prefix)}
			if sid, state := d.ctx.Resolver.Resolve(item.Prefix); state == Resolved {
				q.Matches = []string{hex.EncodeToString(sid[:])}
			}
		case TellSID:
			q = vecExplain{Item: "TELL_SID", SID: hex.EncodeToString(item.SID[:])}
		case TellSignKey:
			q = vecExplain{Item: "TELL_SIGNKEY", SID: hex.EncodeToString(item.SID[:]), Key: hex.EncodeToString(item.SignKey)}
		}
		out = append(out, q)
	}
	if e.Err() != nil {
		d.t.Fatal(e.Err())
	}
	return out
}

// recorded is how much of each the vectors hold.
var recorded = map[string]int{
	"packets": 363, "payloads": 388, "ciphered bodies": 175, "signed bodies": 10, "plain bodies": 182,
	"explains": 21, "link-state messages": 139, "link records": 167, "key maps": 12, "traces": 4, "services": 2,
}

// wantCounts wants all of it to have been checked.
func wantCounts(t *testing.T, got map[string]int) {
	t.Helper()
	if diff := cmp.Diff(recorded, got); diff != "" {
		t.Errorf("checked (-recorded +checked):\n%s", diff)
	}
	t.Logf("checked %v", got)
}

// count counts what a packet holds.
func (d *vecDecoded) count(n map[string]int) {
	n["packets"]++
	for i := range d.Payloads {
		q := &d.Payloads[i]
		n["payloads"]++
		if q.Crypto == "NONE" {
			n["explains"]++
			continue
		}
		n[strings.ToLower(q.Crypto)+" bodies"]++
		switch {
		case q.MDP.LinkState != nil:
			n["link-state messages"]++
			n["link records"] += len(q.MDP.LinkState)
		case q.MDP.KeyMap != nil:
			n["key maps"]++
		case q.MDP.Trace != nil:
			n["traces"]++
		case q.MDP.SrcPort == PortServiceDiscovery:
			n["services"]++
		}
	}
}

func TestVectorsDecode(t *testing.T) {
	v := vectors(t)
	counts := map[string]int{}
	for i := range v.Packets {
		p := &v.Packets[i]
		for _, pl := range p.Decoded.Payloads {
			if pl.MDP != nil {
				pl.MDP.MSP = nil
			}
		}
		t.Run(fmt.Sprint(p.N), func(t *testing.T) {
			got := description{t, v, v.context(t, p)}.packet(unhex(t, p.Hex))
			if diff := cmp.Diff(p.Decoded, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("packet %d (-recorded +decoded):\n%s", p.N, diff)
			}
			got.count(counts)
		})
	}
	wantCounts(t, counts)
}
