package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh.example/msp/mspnet"
)

// TestHTTPHostAndPort: a URL without a port means MSP port 80, the Host header
// is what the URL says, and the handler learns the SID of its client.
func TestHTTPHostAndPort(t *testing.T) {
	for _, c := range []struct{ name, listen, url, hostEnd string }{
		{"default port", ":80", "/x", ""},
		{"port 8080", ":8080", ":8080/x", ":8080"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.serve(t, &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					peer, ok := mspnet.PeerSID(r.RemoteAddr)
					fmt.Fprintf(rw, "%s %s %v %v", r.Host, r.URL, ok, peer)
				})}, c.listen)
				client, _ := w.httpClient(t)
				got := get(t, client, w.url(c.url))
				want := fmt.Sprintf("%v%s /x true %v", w.server.Primary(), c.hostEnd, w.client.Primary())
				if got != want {
					t.Errorf("the handler saw %q, want %q", got, want)
				}
			})
		})
	}
}

// TestHTTPKeepAlive: the second request uses the connection of the first, and
// takes one round trip.
func TestHTTPKeepAlive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve(t, &http.Server{Handler: hello}, ":80")
		client, tr := w.httpClient(t)
		reused := func() (reused bool, took time.Duration) {
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
				GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
			})
			req, err := http.NewRequestWithContext(ctx, "GET", w.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			do(t, client, req)
			return reused, time.Since(start)
		}
		if again, took := reused(); again || took != 2*roundTrip {
			t.Errorf("first request: reused %v, took %v; want a new connection and two round trips, %v", again, took, 2*roundTrip)
		}
		time.Sleep(time.Minute) // far more than the protocol's time-out
		if again, took := reused(); !again || took != roundTrip {
			t.Errorf("second request: reused %v, took %v; want the first one's connection, %v", again, took, roundTrip)
		}
		tr.CloseIdleConnections()
		if again, _ := reused(); again {
			t.Error("request after CloseIdleConnections: reused a connection")
		}
	})
}

// TestHTTPParallel: 50 requests at once, each with a body of its own.
func TestHTTPParallel(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve(t, &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("handler: %v", err)
			}
			time.Sleep(time.Second) // so that all are open together
			rw.Write(body)
		})}, ":80")
		client, _ := w.httpClient(t)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				body := strings.Repeat(fmt.Sprintf("request %d ", i), 1000)
				resp, err := client.Post(w.url("/"), "text/plain", strings.NewReader(body))
				if err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
				defer resp.Body.Close()
				if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
					t.Errorf("request %d: answer of %d bytes, %v; want its own body of %d", i, len(got), err, len(body))
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("50 requests of a second took %v: not in parallel", took)
		}
	})
}

// TestHTTPClientGone: a client that goes away in mid-body is an error of the
// handler's Read, at once and not a hang; and so is one whose link dies, after
// the protocol's time-out.
func TestHTTPClientGone(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(w *world, cancel func())
		after time.Duration
	}{
		{"cancelled", func(w *world, cancel func()) { cancel() }, oneWay},
		{"cut off", func(w *world, cancel func()) { w.net.Cut(w.clientLink, w.serverLink) }, idleSilence},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				type result struct {
					n   int64
					err error
					at  time.Time
				}
				read := make(chan result, 1)
				w.serve(t, &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					n, err := io.Copy(io.Discard, r.Body)
					read <- result{n, err, time.Now()}
				})}, ":80")
				client, _ := w.httpClient(t)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				body, feed := io.Pipe()
				defer feed.Close()
				req, err := http.NewRequestWithContext(ctx, "POST", w.url("/"), body)
				if err != nil {
					t.Fatal(err)
				}
				answered := make(chan error, 1)
				go func() {
					resp, err := client.Do(req)
					if err == nil {
						resp.Body.Close()
					}
					answered <- err
				}()
				if _, err := feed.Write(make([]byte, 10_000)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				left := time.Now()
				c.leave(w, cancel)
				got := <-read
				if got.n != 10_000 || got.err == nil {
					t.Errorf("handler read %d bytes, %v; want the 10,000 that were sent, then an error", got.n, got.err)
				}
				if d := got.at.Sub(left); d > c.after {
					t.Errorf("handler was told after %v, want at most %v", d, c.after)
				}
				feed.Close() // the client waits for the end of its body
				if err := <-answered; err == nil {
					t.Error("the request succeeded")
				}
			})
		})
	}
}

// TestHTTPShutdown: Shutdown lets a request end that is under way, ends idle
// connections, and returns.
func TestHTTPShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(5 * time.Second)
			}
			io.WriteString(rw, "done")
		})}
		w.serve(t, s, ":80")
		client, _ := w.httpClient(t)
		slow := make(chan string, 1)
		go func() { slow <- get(t, client, w.url("/slow")) }()
		get(t, client, w.url("/")) // leaves an idle connection
		time.Sleep(time.Second)
		start := time.Now()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(start); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("Shutdown took %v, want what was left of the slow request, about 4 s", took)
		}
		if got := <-slow; got != "done" {
			t.Errorf("the request under way got %q", got)
		}
		if _, err := client.Get(w.url("/")); err == nil {
			t.Error("a request after Shutdown succeeded")
		}
	})
}

var hello = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") })

// get gives the body of a successful GET.
func get(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, client, req)
}

func do(t testing.TB, client *http.Client, req *http.Request) string {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Errorf("%s %v: %v", req.Method, req.URL, err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%s %v: %v, %v", req.Method, req.URL, resp.Status, err)
	}
	return string(b)
}
