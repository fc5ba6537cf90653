package overlay

import (
	"bytes"
	"errors"
	"fmt"
)

// An ExplainKind is what an item of a please-explain says (docs/overlay.md §4.3).
type ExplainKind uint8

// Kinds of items.
const (
	AskPrefix   ExplainKind = iota + 1 // tell me every SID that starts so
	TellSID                            // this SID exists
	TellSignKey                        // this combined identity exists
	AskYou                             // who are you: an unusable P2P_ME was seen
)

// String gives the kind as in docs/overlay.md §4.3.
func (k ExplainKind) String() string {
	switch k {
	case AskPrefix:
		return "ask"
	case TellSID:
		return "tell"
	case TellSignKey:
		return "tell-key"
	case AskYou:
		return "ask-you"
	}
	return fmt.Sprintf("explain(%d)", uint8(k))
}

// An ExplainItem is one item of the body of a please-explain.
type ExplainItem struct {
	Kind    ExplainKind
	Prefix  []byte // AskPrefix: 1…31 bytes; parsed: aliases the body
	SID     SID    // TellSID, TellSignKey; for appending TellSignKey it does not count
	SignKey []byte // TellSignKey: 32 bytes; parsed: aliases the body
}

// String gives the item in short.
func (i ExplainItem) String() string {
	switch i.Kind {
	case AskPrefix:
		return fmt.Sprintf("ask %X", i.Prefix)
	case TellSID:
		return "tell " + i.SID.short()
	case TellSignKey:
		return fmt.Sprintf("tell-key %v", i.SID.short())
	}
	return i.Kind.String()
}

// Question gives the item that asks about an address that did not resolve.
// There is none for addresses that say nothing to ask about.
func (a *Address) Question() (ExplainItem, bool) {
	switch {
	case a.Resolved() || len(a.Wire) == 0:
		return ExplainItem{}, false
	case a.Code.abbreviated():
		return ExplainItem{Kind: AskPrefix, Prefix: a.Wire[1:]}, true
	case a.Code == CodeP2PMe:
		return ExplainItem{Kind: AskYou}, true
	}
	return ExplainItem{}, false
}

// An Explain reads the body of a please-explain item by item. An empty body is
// normal: it is an answer by the sender address of the packet alone.
type Explain struct {
	// Keys works out the SIDs of sign keys; if nil, SIDFromSignKey does. Items
	// that it does not resolve are passed over.
	Keys KeyResolver

	body []byte
	rest []byte
	err  error
}

// NewExplain gives a reader over body.
func NewExplain(body []byte) Explain { return Explain{body: body, rest: body} }

var errShortExplain = errors.New("overlay: please-explain item is cut off")

// Next parses the next item and returns true, or returns false at the end and
// after an error. Items that tell of a SID or sign key that must not be used
// ([SID.Check]) are passed over.
func (e *Explain) Next(item *ExplainItem) bool {
	for e.err == nil && len(e.rest) > 0 {
		code := Code(e.rest[0])
		n := code.explainSize()
		if n < 0 {
			e.err = fmt.Errorf("overlay: please-explain item %#02x: want 1…32, 0xfb or 0xfd", e.rest[0])
			return false
		}
		if len(e.rest) < 1+n {
			e.err = errShortExplain
			return false
		}
		b := e.rest[1 : 1+n : 1+n]
		e.rest = e.rest[1+n:]
		*item = ExplainItem{}
		switch code {
		default:
			*item = ExplainItem{Kind: AskPrefix, Prefix: b}
		case CodeSID:
			if SID(b).Check() != nil {
				continue
			}
			*item = ExplainItem{Kind: TellSID, SID: SID(b)}
		case CodeSignKey:
			sid, state := resolveSignKey(b, e.Keys)
			if state != Resolved {
				continue
			}
			*item = ExplainItem{Kind: TellSignKey, SID: sid, SignKey: b}
		case CodeP2PYou:
			*item = ExplainItem{Kind: AskYou}
		}
		return true
	}
	return false
}

// explainSize gives how many bytes follow the code of an item, or -1 if there is
// no such item.
func (c Code) explainSize() int {
	if c > CodeSignKey && c != CodeP2PYou {
		return -1
	}
	return c.size()
}

// Err tells why Next stopped before the end; nil if it did not.
func (e *Explain) Err() error { return e.err }

// String gives all items on one line, wherever Next stands.
func (e *Explain) String() string {
	var b bytes.Buffer
	b.WriteString("explain")
	r := NewExplain(e.body)
	for item := (ExplainItem{}); r.Next(&item); {
		b.WriteByte(' ')
		b.WriteString(item.String())
	}
	if r.err != nil {
		b.WriteString(": " + r.err.Error())
	}
	return b.String()
}

// AppendExplainItem appends one item of a please-explain. Errors: an unknown
// kind, a prefix that is not 1…31 bytes long, a SID or sign key that must not
// be used.
func AppendExplainItem(dst []byte, item ExplainItem) ([]byte, error) {
	switch item.Kind {
	case AskPrefix:
		if n := len(item.Prefix); n < 1 || n > 31 {
			return dst, fmt.Errorf("overlay: prefix of %d bytes: want 1…31", n)
		}
		return append(append(dst, byte(len(item.Prefix))), item.Prefix...), nil
	case TellSID:
		if err := item.SID.Check(); err != nil {
			return dst, err
		}
		return append(append(dst, byte(CodeSID)), item.SID[:]...), nil
	case TellSignKey:
		if _, err := SIDFromSignKey(item.SignKey); err != nil {
			return dst, err
		}
		return append(append(dst, byte(CodeSignKey)), item.SignKey...), nil
	case AskYou:
		return append(dst, byte(CodeP2PYou)), nil
	}
	return dst, fmt.Errorf("overlay: please-explain item of kind %d: want 1…4", item.Kind)
}
