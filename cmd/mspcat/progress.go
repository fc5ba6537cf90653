package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress is told of bytes that have arrived by writing them to it. Without a
// bar it is silent. It may be used concurrently.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress shows a bar up to total bytes, if w is a terminal.
func newProgress(w io.Writer, total int64) progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progress{}
	}
	return progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

func (p progress) Write(b []byte) (int, error) {
	if p.bar != nil {
		p.bar.Add(len(b)) // a bar that cannot be drawn is no reason to fail
	}
	return len(b), nil
}

// finish takes the bar away.
func (p progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
