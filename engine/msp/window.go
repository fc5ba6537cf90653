package msp

// A window bounds the messages in flight (§4.1): slow start up to a threshold,
// then one more for each window that was acknowledged, halved on loss.
type window struct {
	size      int
	threshold int
	acked     int // since size last grown above the threshold
}

func newWindow() window { return window{size: initialWindow, threshold: maxWindow} }

// messagesAcked grows the window. full tells whether the window was what held
// the sender back; if it was not, its size has not been tested.
func (w *window) messagesAcked(n int, full bool) {
	if !full {
		return
	}
	if w.size < w.threshold {
		w.size = min(w.size+n, w.threshold)
		return
	}
	w.acked += n
	if w.acked >= w.size {
		w.acked -= w.size
		w.size = min(w.size+1, maxWindow)
	}
}

// messageLost halves the window.
func (w *window) messageLost() {
	w.size = max(w.size/2, initialWindow)
	w.threshold = w.size
	w.acked = 0
}
