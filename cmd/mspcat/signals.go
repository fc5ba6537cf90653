package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// Interrupts are the user's wishes to end. The first asks to bring to an end
// what goes on, the second to let it be. A third has the system's effect, as
// before the program asked for them.
type interrupts struct {
	first  chan struct{} // closed at the first
	second chan struct{} // closed at the second
	now    chan struct{} // closed, before both, at a signal that ends at once

	done   chan struct{}
	once   sync.Once
	signal os.Signal // set before first is closed
	urgent os.Signal // set before now is closed
}

// terminate is the signal by which the system ends a program.
const terminate = syscall.SIGTERM

// catchInterrupts takes interruptions until release is called. The end of ctx
// is as two of them. So is each of the signals atOnce; the next has the system's
// effect.
func catchInterrupts(ctx context.Context, atOnce ...os.Signal) *interrupts {
	in := &interrupts{
		first:  make(chan struct{}),
		second: make(chan struct{}),
		now:    make(chan struct{}),
		done:   make(chan struct{}),
		signal: os.Interrupt,
	}
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, terminate)
	go in.watch(ctx, c, atOnce)
	return in
}

func (in *interrupts) watch(ctx context.Context, c chan os.Signal, atOnce []os.Signal) {
	defer signal.Stop(c)
	steps := []chan struct{}{in.first, in.second}
	for i, step := range steps {
		select {
		case s := <-c:
			if step == in.first {
				in.signal = s
			}
			if slices.Contains(atOnce, s) {
				in.urgent = s
				close(in.now)
				for _, step := range steps[i:] {
					close(step)
				}
				return
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

// atOnce reports whether a signal came that ends at once.
func (in *interrupts) atOnce() bool {
	select {
	case <-in.now:
		return true
	default:
		return false
	}
}
