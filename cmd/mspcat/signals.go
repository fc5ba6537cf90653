package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Interrupts are the user's wishes to end. The first asks to bring to an end
// what goes on, the second to let it be. A third has the system's effect, as
// before the program asked for them.
type interrupts struct {
	first  chan struct{} // closed at the first
	second chan struct{} // closed at the second

	done   chan struct{}
	once   sync.Once
	signal os.Signal // set before first is closed
}

// catchInterrupts takes interruptions until release is called. The end of ctx
// is as two of them.
func catchInterrupts(ctx context.Context) *interrupts {
	in := &interrupts{
		first:  make(chan struct{}),
		second: make(chan struct{}),
		done:   make(chan struct{}),
		signal: os.Interrupt,
	}
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go in.watch(ctx, c)
	return in
}

func (in *interrupts) watch(ctx context.Context, c chan os.Signal) {
	defer signal.Stop(c)
	for _, step := range []chan struct{}{in.first, in.second} {
		select {
		case s := <-c:
			if step == in.first {
				in.signal = s
			}
		case <-ctx.Done():
		case <-in.done:
			return
		}
		close(step)
	}
}

// release stops taking interruptions. It may be called more than once.
func (in *interrupts) release() { in.once.Do(func() { close(in.done) }) }

// bounded returns a context that is done at the step, one of the two.
func (in *interrupts) bounded(parent context.Context, step <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		select {
		case <-step:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// interrupted reports whether the first interruption came.
func (in *interrupts) interrupted() bool {
	select {
	case <-in.first:
		return true
	default:
		return false
	}
}
