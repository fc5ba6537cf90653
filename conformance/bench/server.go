package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// A client opens every connection with a header: what it wants, and a length.
const (
	headerLen = 9
	wantBulk  = 'B' // one byte, length bytes from the client, then a verdict from the server
	wantEcho  = 'P' // messages of pingLen bytes come back
	wantByte  = 'C' // one byte, then the client closes
	wantHold  = 'I' // one byte, and nothing more
	pingLen   = 64
	verdict   = 13 // bytes: right or wrong, how many, CRC-32C
)

func header(want byte, n int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{want}, uint64(n))
}

// serve is the process at the listening end. It answers the lines on its
// standard input: "stat", "collect" for one after garbage collection, "idle" for
// one with the CPU of the next seconds.
func serve(t *Transport, addr, mode string) error {
	pattern()
	l, err := t.Listen(addr)
	if err != nil {
		return err
	}
	var received bulkCount
	if mode == "http" {
		go serveHTTP(l)
	} else {
		go acceptAll(l, &received)
	}
	cpuBaseline = cpuNow()
	tell("READY", map[string]string{"addr": l.Addr().String()})
	stat := func(collect bool) ProcStat {
		st := selfStat(collect)
		st.BulkBytes, st.BulkBad, st.Jain = received.state()
		return st
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "stat":
			tell("STAT", stat(false))
		case "collect":
			tell("STAT", stat(true))
		case "idle":
			share := idleCPU(idleSpan)
			st := stat(false)
			st.IdleCPU = share
			tell("STAT", st)
		}
	}
	return nil
}

// tell writes a line for the process that started this one.
func tell(kind string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(map[string]string{"err": err.Error()})
	}
	os.Stdout.Write([]byte(kind + " " + string(b) + "\n"))
}

func acceptAll(l net.Listener, received *bulkCount) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go serveConn(c, received)
	}
}

func serveConn(c net.Conn, received *bulkCount) {
	var h [headerLen]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		c.Close()
		return
	}
	switch h[0] {
	case wantHold:
		c.Write([]byte{'!'})
		held.add(c)
		return
	case wantBulk:
		serveBulk(c, int64(binary.BigEndian.Uint64(h[1:])), received)
	case wantEcho:
		echo(c)
	case wantByte:
		c.Write([]byte{'!'})
		io.ReadFull(c, h[:1]) // until the client closes; some never tell
	}
	c.Close()
}

func echo(c net.Conn) {
	var b [pingLen]byte
	for {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return
		}
		if _, err := c.Write(b[:]); err != nil {
			return
		}
	}
}

func serveBulk(c net.Conn, n int64, received *bulkCount) {
	buf := make([]byte, min(max(n, 1), blockLen))
	for i := range buf {
		buf[i] = 1 // its memory is not to be new in what is measured
	}
	stream := received.open()
	c.Write([]byte{'!'})
	got, crc, right := int64(0), uint32(0), true
	for got < n {
		k, err := c.Read(buf[:min(int64(len(buf)), n-got)])
		if k > 0 && right {
			if right = bytes.Equal(buf[:k], patternAt(got, k)); right {
				received.add(stream, k)
			} else {
				received.mismatch()
			}
		}
		crc = crc32.Update(crc, castagnoli, buf[:k])
		got += int64(k)
		if err != nil {
			break
		}
	}
	received.ended()
	reply := make([]byte, 1, verdict)
	if right && got == n {
		reply[0] = 1
	}
	reply = binary.BigEndian.AppendUint64(reply, uint64(got))
	c.Write(binary.BigEndian.AppendUint32(reply, crc))
	io.ReadFull(c, buf[:1]) // until the client closes
}

func serveHTTP(l net.Listener) {
	mux := http.NewServeMux()
	for _, n := range []int{1 << 10, 1 << 20} {
		body := pattern()[:n]
		mux.HandleFunc("/"+strconv.Itoa(n), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(body)
		})
	}
	http.Serve(l, mux)
}

// idleSpan is how long the CPU of idle connections is measured, at each end.
const idleSpan = 5 * time.Second
