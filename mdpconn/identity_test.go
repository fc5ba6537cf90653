package mdpconn

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

// identityVectors is testdata/identities.json.
type identityVectors struct {
	Identities map[string]struct {
		SID     string `json:"sid"`
		Box     string `json:"box_secret_key"`
		SignKey string `json:"sign_public_key"`
		Seed    string `json:"sign_seed"`
	} `json:"identities"`
	SharedKeys map[string]string `json:"box_shared_keys"` // by "NAME-NAME"
}

// readVectors gives the identities made by stock.
func readVectors(t testing.TB) (v identityVectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/identities.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Identities) == 0 || len(v.SharedKeys) == 0 {
		t.Fatal("testdata/identities.json has no vectors")
	}
	return v
}

// vectorIdentity gives one of them.
func vectorIdentity(t testing.TB, v identityVectors, name string) *Identity {
	t.Helper()
	seed, err := hex.DecodeString(v.Identities[name].Seed)
	if err != nil {
		t.Fatal(err)
	}
	id, err := IdentityFromSeed(seed)
	if err != nil {
		t.Fatalf("identity %q: %v", name, err)
	}
	return id
}

// docs/overlay.md §1.1.
func TestIdentityVectors(t *testing.T) {
	v := readVectors(t)
	for name, want := range v.Identities {
		id := vectorIdentity(t, v, name)
		for _, field := range []struct{ what, got, want string }{
			{"SID", strings.ToLower(id.SID().String()), want.SID},
			{"box secret", hex.EncodeToString(id.secret.box[:]), want.Box},
			{"sign key", hex.EncodeToString(id.SignKey()), want.SignKey},
			{"seed", hex.EncodeToString(id.secret.seed[:]), want.Seed},
		} {
			if field.got != field.want {
				t.Errorf("%s of %s = %s, want %s", field.what, name, field.got, field.want)
			}
		}
		if err := id.SID().Check(); err != nil {
			t.Errorf("SID of %s: %v", name, err)
		}
	}
}

// docs/overlay.md §6.3.
func TestSharedKeyVectors(t *testing.T) {
	v := readVectors(t)
	for names, want := range v.SharedKeys {
		one, other, _ := strings.Cut(names, "-")
		a, b := vectorIdentity(t, v, one), vectorIdentity(t, v, other)
		for _, pair := range [][2]*Identity{{a, b}, {b, a}} {
			got, err := pair[0].SharedKey(pair[1].SID())
			if err != nil || hex.EncodeToString(got[:]) != want {
				t.Errorf("SharedKey %s = %x, %v, want %s", names, got, err, want)
			}
		}
	}
}

func TestSharedKeyRefuses(t *testing.T) {
	id := vectorIdentity(t, readVectors(t), "A")
	flipped := id.SID()
	flipped[31] |= 0x80
	bad := append([]SID{Primary, All, flipped}, lowOrderPoints[:]...)
	for _, peer := range bad {
		key, err := id.SharedKey(peer)
		wantError(t, "SharedKey", err, peer.String())
		if key != nil {
			t.Errorf("SharedKey(%v) gave a key with an error", peer)
		}
	}
}

func TestZeroSharedIsTheKeyOfZero(t *testing.T) {
	id := vectorIdentity(t, readVectors(t), "A")
	for _, peer := range lowOrderPoints {
		var key [32]byte
		box.Precompute(&key, (*[32]byte)(&peer), &id.secret.box)
		if key != zeroShared {
			t.Errorf("box key with %v is %x, want zeroShared %x", peer, key, zeroShared)
		}
	}
}

func TestNewIdentity(t *testing.T) {
	a, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if a.SID() == b.SID() {
		t.Error("two new identities are the same")
	}
	public, err := curve25519.X25519(a.secret.box[:], curve25519.Basepoint)
	if err != nil || SID(public) != a.SID() {
		t.Errorf("SID %v, but the box key is %x, %v", a.SID(), public, err)
	}
	again, err := IdentityFromSeed(a.secret.seed[:])
	if err != nil || again.SID() != a.SID() {
		t.Errorf("the same seed gave %v and %v, %v", a, again, err)
	}
}

func TestIdentityFromSeedRefuses(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		id, err := IdentityFromSeed(make([]byte, n))
		wantError(t, "IdentityFromSeed", err, "expected 32")
		if id != nil {
			t.Errorf("IdentityFromSeed of %d bytes gave an identity", n)
		}
	}
}

func TestIdentityFromSeedDoesNotKeepIt(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, SeedSize)
	id, err := IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	clear(seed)
	if id.secret.seed != [SeedSize]byte(bytes.Repeat([]byte{7}, SeedSize)) {
		t.Error("the identity's seed changed with the caller's slice")
	}
	clear(id.SignKey())
	if bytes.Equal(id.SignKey(), make([]byte, 32)) {
		t.Error("the sign key changed with the caller's slice")
	}
}

func TestSign(t *testing.T) {
	id := vectorIdentity(t, readVectors(t), "A")
	sig := id.Sign([]byte("message"))
	if !ed25519.Verify(id.SignKey(), []byte("message"), sig) {
		t.Error("the signature does not verify")
	}
	if ed25519.Verify(id.SignKey(), []byte("another"), sig) {
		t.Error("the signature verifies for another message")
	}
}

// Whatever is done to print an identity gives its SID and no secret.
func TestSecretNeverPrints(t *testing.T) {
	id := vectorIdentity(t, readVectors(t), "A")
	type holder struct {
		ID     *Identity
		hidden *Identity
	}
	held := holder{id, id}
	prints := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%p", "%t", "%b", "%e", "%U", "%o", "%w", "% x", "%#x"} {
		prints[verb] = fmt.Sprintf(verb, id)
		prints[verb+" of a value"] = fmt.Sprintf(verb, *id)
		prints[verb+" in a struct"] = fmt.Sprintf(verb, held)
		prints[verb+" of a pointer to a struct"] = fmt.Sprintf(verb, &held)
		prints[verb+" in a slice"] = fmt.Sprintf(verb, []Identity{*id})
		prints[verb+" in a map"] = fmt.Sprintf(verb, map[string]*Identity{"": id})
	}
	prints["Sprint"] = fmt.Sprint(id)
	prints["Sprintln"] = fmt.Sprintln(*id)
	for name, v := range map[string]any{"json": id, "json of a value": *id, "json in a struct": held} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		prints[name] = string(b)
	}
	for name, v := range map[string]any{"slog": id, "slog of a value": *id, "slog in a group": slog.GroupValue(slog.Any("id", id)), "slog in a struct": held} {
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("", "id", v)
		prints[name+", text"] = buf.String()
		buf.Reset()
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("", "id", v)
		prints[name+", json"] = buf.String()
	}

	secrets := map[string][]byte{"seed": id.secret.seed[:], "box secret": id.secret.box[:], "sign key": id.secret.sign}
	for what, s := range prints {
		switch {
		case strings.Contains(what, "struct"): // unexported fields print as pointers
		case strings.HasPrefix(what, "%p"), strings.HasPrefix(what, "%w"): // never ask a Formatter
		case !strings.Contains(s, id.SID().String()):
			t.Errorf("%s prints %q, without the SID", what, s)
		}
		for name, secret := range secrets {
			for _, form := range []string{
				string(secret[:8]),
				hex.EncodeToString(secret[:8]),
				fmt.Sprintf("%X", secret[:8]),
				strings.Trim(fmt.Sprint(secret[:8]), "[]"),
				strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret[:8]), "[]byte{"), "}"),
				fmt.Sprintf("% x", secret[:8]),
				strings.Trim(fmt.Sprintf("%b", secret[:8]), "[]"),
				strings.Trim(fmt.Sprintf("%o", secret[:8]), "[]"),
			} {
				if strings.Contains(s, form) {
					t.Errorf("%s prints the %s: %q", what, name, s)
				}
			}
		}
	}
	if want := id.SID().String(); prints["%v"] != want || prints["%x"] != want || prints["%s"] != want {
		t.Errorf("%%v %%x %%s print %q %q %q, want the SID", prints["%v"], prints["%x"], prints["%s"])
	}
	if want := "mdpconn.Identity(" + id.SID().String() + ")"; prints["%#v"] != want {
		t.Errorf("%%#v prints %q, want %q", prints["%#v"], want)
	}
}

func TestNilIdentityPrints(t *testing.T) {
	var id *Identity
	if s := fmt.Sprint(id); s != "<nil>" {
		t.Errorf("a nil identity prints as %q", s)
	}
}

func BenchmarkSharedKey(b *testing.B) {
	v := readVectors(b)
	id, peer := vectorIdentity(b, v, "A"), vectorIdentity(b, v, "B").SID()
	for b.Loop() {
		if _, err := id.SharedKey(peer); err != nil {
			b.Fatal(err)
		}
	}
}
