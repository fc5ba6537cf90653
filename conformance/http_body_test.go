package conformance

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// bigBody is the size of the bodies of TestHTTPBigBody.
const bigBody = 100 << 20

// TestHTTPBigBody sends 100 MB each way, in real time.
func TestHTTPBigBody(t *testing.T) {
	t.Parallel()
	w := instant(t)
	w.serve(t, &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			fmt.Fprint(rw, sum(t, r.Body))
			return
		}
		io.Copy(rw, content(bigBody))
	})}, ":80")
	client, _ := w.httpClient(t)
	want := sum(t, content(bigBody))

	start := time.Now()
	req, err := http.NewRequest("PUT", w.url("/"), content(bigBody))
	if err != nil {
		t.Fatal(err)
	}
	if got := do(t, client, req); got != want {
		t.Errorf("the server got a body with the SHA-256 %s, want %s", got, want)
	}
	report(t, "to the server", start)

	start = time.Now()
	resp, err := client.Get(w.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := sum(t, resp.Body); got != want {
		t.Errorf("the client got a body with the SHA-256 %s, want %s", got, want)
	}
	report(t, "to the client", start)
}

func report(t testing.TB, way string, start time.Time) {
	took := time.Since(start)
	t.Logf("%d bytes %s in %.1f s, %.1f MB/s", bigBody, way, took.Seconds(), bigBody/took.Seconds()/1e6)
}

// content is a stream of n bytes, always the same.
func content(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

// random gives n bytes, always the same.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{2}).Read(b)
	return b
}

// sum gives the length and the SHA-256 of what r has.
func sum(t testing.TB, r io.Reader) string {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		t.Errorf("after %d bytes: %v", n, err)
	}
	return fmt.Sprintf("%d:%x", n, h.Sum(nil))
}
