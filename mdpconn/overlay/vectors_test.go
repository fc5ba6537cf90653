package overlay

import (
	"crypto/ed25519"
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
	MSP         any // not of this package
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

func TestVectorsDecode(t *testing.T) {
	v := vectors(t)
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
		})
	}
}

// An encoding writes what was decoded again, from values only.
type encoding struct {
	t *testing.T
	v *vecFile
	p *vecPacket
}

// address forgets all but who is meant, and how many bytes of an abbreviation
// the transmitter took. N, not a stock node, always writes full SIDs.
func (e encoding) address(a Address) Address {
	out := Address{SID: a.SID}
	if a.Code.abbreviated() || e.p.From == "N" && a.Code == CodeSID {
		out.Code = a.Code
	}
	return out
}

func (e encoding) packet(b []byte, decode Context) []byte {
	var p Packet
	if err := p.Parse(b, decode); err != nil {
		e.t.Fatal(err)
	}
	ctx := Context{Transmitter: decode.Transmitter, Receiver: decode.Receiver}
	env := Envelope{
		Version: p.Version, Encapsulation: p.Encapsulation, Sender: e.address(p.Sender),
		Flags: p.Flags &^ PacketInterface, Interface: p.Interface, Seq: p.Seq,
	}
	out, err := AppendEnvelope(nil, &env, &ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	for pl := (Payload{}); p.Next(&pl); {
		if out, err = e.payload(out, &pl, &ctx); err != nil {
			e.t.Fatal(err)
		}
	}
	if p.Err() != nil {
		e.t.Fatal(p.Err())
	}
	return out
}

func (e encoding) payload(dst []byte, pl *Payload, ctx *Context) ([]byte, error) {
	q := *pl
	q.Flags &^= SenderSame | LegacyType
	q.Source, q.Destination, q.NextHop = e.address(pl.Source), e.address(pl.Destination), e.address(pl.NextHop)
	if pl.Type == TypeExplain {
		q.Body = e.explain(pl.Body)
		return AppendPayload(dst, &q, ctx)
	}
	source, destination := e.v.node(pl.Source.SID), e.v.node(pl.Destination.SID)
	identity := e.v.Identities[source]
	key := ed25519.NewKeyFromSeed(unhex(e.t, identity.SignSeed))
	mode, err := pl.Flags.Mode()
	switch mode {
	case ModeCiphered:
		shared := e.v.sharedKey(e.t, source, destination)
		nonce, _ := Nonce(pl.Body)
		plaintext, err := OpenBody(nil, shared, pl.Body)
		if err != nil {
			return nil, err
		}
		plaintext = e.plaintext(plaintext, pl.Source.SID, key)
		if q.Body, err = SealBody(nil, shared, &nonce, plaintext); err != nil {
			return nil, err
		}
		again := *ctx
		sealed, err := AppendSealedPayload(nil, &q, &again, shared, &nonce, plaintext)
		if err != nil {
			return nil, err
		}
		b, err := AppendPayload(nil, &q, ctx)
		if hex.EncodeToString(sealed) != hex.EncodeToString(b) || *ctx != again {
			e.t.Errorf("sealed in place %x\nbody sealed before %x", sealed, b)
		}
		return append(dst, sealed...), err
	case ModeSigned:
		plaintext, _, _ := SplitSigned(pl.Body)
		if q.Body, err = SignBody(nil, key, e.plaintext(plaintext, pl.Source.SID, key)); err != nil {
			return nil, err
		}
	case ModePlain:
		q.Body = e.plaintext(pl.Body, pl.Source.SID, key)
	}
	if err != nil {
		return nil, err
	}
	return AppendPayload(dst, &q, ctx)
}

func (e encoding) explain(body []byte) (out []byte) {
	r := NewExplain(body)
	for item := (ExplainItem{}); r.Next(&item); {
		var err error
		if out, err = AppendExplainItem(out, item); err != nil {
			e.t.Fatal(err)
		}
	}
	return out
}

func (e encoding) plaintext(b []byte, source SID, key ed25519.PrivateKey) []byte {
	ports, data, err := ParsePorts(b)
	if err != nil {
		e.t.Fatal(err)
	}
	out, err := AppendPorts(nil, ports)
	if err != nil {
		e.t.Fatal(err)
	}
	switch ports.Destination {
	case PortLinkState:
		return e.linkState(out, data, source)
	case PortKeyMap:
		m, _ := ParseKeyMap(data)
		if m.Response {
			m = NewKeyResponse(source, key)
		}
		return AppendKeyMap(out, &m)
	case PortTrace:
		trace, _ := ParseTrace(data, nil)
		for _, a := range trace {
			if out, err = AppendTrace(out, a.SID); err != nil {
				e.t.Fatal(err)
			}
		}
		return out
	}
	if s, err := ParseService(data); err == nil && ports.Source == PortServiceDiscovery {
		out, _ = AppendService(out, s)
		return out
	}
	return append(out, data...)
}

func (e encoding) linkState(dst, data []byte, source SID) []byte {
	l := NewLinkState(data, BodyContext(source, e.v.sids(e.t)))
	ctx := BodyContext(source, nil)
	for r := (LinkRecord{}); l.Next(&r); {
		r.Receiver, r.Transmitter = e.address(r.Receiver), e.address(r.Transmitter)
		var err error
		if dst, err = AppendLinkRecord(dst, &r, &ctx); err != nil {
			e.t.Fatal(err)
		}
	}
	return dst
}

func TestVectorsEncode(t *testing.T) {
	v := vectors(t)
	for i := range v.Packets {
		p := &v.Packets[i]
		t.Run(fmt.Sprint(p.N), func(t *testing.T) {
			got := encoding{t, v, p}.packet(unhex(t, p.Hex), v.context(t, p))
			if hex.EncodeToString(got) != p.Hex {
				t.Errorf("packet %d\n got %x\nwant %s", p.N, got, p.Hex)
			}
		})
	}
}
