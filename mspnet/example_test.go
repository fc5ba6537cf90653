package mspnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"mesh.example/msp/mdpconn"
	"mesh.example/msp/mspnet"
)

// newNode returns a node on the loopback device, for the examples. Programs
// that are content with the default node need none.
func newNode() *mdpconn.Node {
	node, err := mdpconn.NewNode(mdpconn.Config{UDP: []string{"127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	return node
}

// listen listens on a node, at a port of its primary identity.
func listen(node *mdpconn.Node, address string) net.Listener {
	ln, err := (&mspnet.ListenConfig{Node: node}).Listen(context.Background(), "msp", address)
	if err != nil {
		log.Fatal(err)
	}
	return ln
}

// Listen, and answer each connection with what it sends.
func ExampleListenConfig() {
	server, client := newNode(), newNode()
	defer server.Close()
	defer client.Close()

	ln := listen(server, ":7000")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // the listener is closed
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()

	d := mspnet.Dialer{Node: client}
	c, err := d.Dial("msp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(c, "hello, mesh")
	c.(*mspnet.Conn).CloseWrite()
	answer, err := io.ReadAll(c)
	fmt.Println(string(answer), err)
	c.Close()
	// Output: hello, mesh <nil>
}

// A refused connection is told from a peer that is not there.
func ExampleDialer() {
	server, client := newNode(), newNode()
	defer server.Close()
	defer client.Close()

	ln := listen(server, ":80")
	address := ln.Addr().String()
	ln.Close()

	d := mspnet.Dialer{Node: client, Timeout: 5 * time.Second}
	_, err := d.Dial("msp", address)
	var op *net.OpError
	if errors.As(err, &op) {
		fmt.Println(op.Op, op.Net, op.Err)
	}
	// Output: dial msp connect: connection refused
}

// An HTTP server and client. The URL's host is a SID; the default port is 80.
func Example_http() {
	server, client := newNode(), newNode()
	defer server.Close()
	defer client.Close()

	ln := listen(server, ":80")
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid, _ := mspnet.PeerSID(r.RemoteAddr)
		fmt.Fprintln(w, "you are the client:", sid == client.Primary())
	})}
	go srv.Serve(ln)
	defer srv.Close()

	client.AddHint(server.Primary(), server.LinkAddrs()[0])
	d := mspnet.Dialer{Node: client}
	tr := &http.Transport{DialContext: d.DialContext}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("http://" + server.Primary().String() + "/")
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(os.Stdout, res.Body)
	// Output: you are the client: true
}

// One side ends its direction and still reads the other's.
func ExampleConn_CloseWrite() {
	server, client := newNode(), newNode()
	defer server.Close()
	defer client.Close()

	ln := listen(server, ":80")
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		request, _ := io.ReadAll(c) // to the client's CloseWrite
		fmt.Fprintf(c, "%d bytes received", len(request))
	}()

	c, err := (&mspnet.Dialer{Node: client}).Dial("msp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.Write(make([]byte, 10000))
	c.(*mspnet.Conn).CloseWrite()
	answer, _ := io.ReadAll(c)
	fmt.Println(string(answer))
	// Output: 10000 bytes received
}

// A deadline bounds reads; once it is moved the connection serves on.
func ExampleConn_SetReadDeadline() {
	server, client := newNode(), newNode()
	defer server.Close()
	defer client.Close()

	ln := listen(server, ":80")
	c, err := (&mspnet.Dialer{Node: client}).Dial("msp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	far, err := ln.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer far.Close()

	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))

	c.SetReadDeadline(time.Time{})
	far.Write([]byte("late, but here"))
	b := make([]byte, 100)
	n, err := c.Read(b)
	fmt.Println(string(b[:n]), err)
	// Output:
	// true
	// late, but here <nil>
}

// Messages keep their boundaries; a short buffer leaves the rest.
func ExampleConn_ReadMessage() {
	server, client := newNode(), newNode()
	defer server.Close()
	defer client.Close()

	ln := listen(server, ":80")
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.(*mspnet.Conn).WriteMessage([]byte("first"))
		c.(*mspnet.Conn).WriteMessage([]byte("the second"))
	}()

	dialled, err := (&mspnet.Dialer{Node: client}).Dial("msp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer dialled.Close()
	c := dialled.(*mspnet.Conn)
	b := make([]byte, 8)
	for {
		n, more, err := c.ReadMessage(b)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q more=%v\n", b[:n], more)
	}
	// Output:
	// "first" more=false
	// "the seco" more=true
	// "nd" more=false
	// EOF
}
