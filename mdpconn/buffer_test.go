package mdpconn

import "testing"

func TestBufferReleasedTwicePanics(t *testing.T) {
	b := getBuffer()
	b.release()
	defer func() {
		if recover() == nil {
			t.Error("the second release does not panic")
		}
	}()
	b.release()
}

func TestBufferDoesNotAllocate(t *testing.T) {
	allocs := testing.AllocsPerRun(1000, func() { getBuffer().release() })
	if allocs > 0.5 { // under the race detector the pool drops one in four
		t.Errorf("%v allocations for a buffer, want next to none", allocs)
	}
}
