package main

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

func TestSourceGoesToNextAsker(t *testing.T) {
	r, w := io.Pipe()
	s := newSource(r)
	stop := make(chan struct{})
	asked := make(chan error)
	go func() {
		_, err := s.next(stop, nil)
		asked <- err
	}()
	close(stop)
	if err := <-asked; err != errStopped {
		t.Fatalf("a stopped question got %v", err)
	}
	go func() {
		w.Write([]byte("late"))
		w.CloseWithError(errors.New("broken"))
	}()
	open := make(chan struct{})
	if b, err := s.next(open, nil); string(b) != "late" || err != nil {
		t.Errorf("the next question got %q, %v, want what arrived meanwhile", b, err)
	}
	for range 2 {
		if b, err := s.next(open, nil); len(b) > 0 || err == nil || err.Error() != "broken" {
			t.Errorf("behind the end a question got %q, %v", b, err)
		}
	}
	if _, err := s.next(stop, nil); err != errStopped {
		t.Errorf("a question that is stopped already got %v", err)
	}
}

func TestSourceRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		s := newSource(readerFunc(func(b []byte) (int, error) {
			<-read
			return copy(b, "rest"), nil
		}))
		stop := make(chan struct{})
		close(stop)
		if b := s.rest(); len(b) > 0 {
			t.Errorf("the rest is %q before anything was asked for", b)
		}
		over := make(chan struct{})
		close(over)
		if _, err := s.next(nil, over); err != errOver {
			t.Fatal(err)
		}
		synctest.Wait()
		if b := s.rest(); len(b) > 0 {
			t.Errorf("the rest is %q before anything was read", b)
		}
		close(read)
		synctest.Wait()
		if _, err := s.next(stop, nil); err != errStopped {
			t.Fatal(err)
		}
		if b := s.rest(); string(b) != "rest" {
			t.Errorf("the rest is %q, want what was read before the stop", b)
		}
	})
}

// What arrives when the connection is over is the next one's.
func TestSourceOver(t *testing.T) {
	r, w := io.Pipe()
	s := newSource(r)
	over := make(chan struct{})
	close(over)
	if b, err := s.next(nil, over); err != errOver {
		t.Fatalf("got %q, %v, want to be told that the connection is over", b, err)
	}
	go w.Write([]byte("late"))
	if b, err := s.next(nil, nil); string(b) != "late" || err != nil {
		t.Errorf("got %q, %v, want what arrived later", b, err)
	}
}

// Nothing is read before somebody asks.
func TestSourceDoesNotReadAhead(t *testing.T) {
	reads := 0
	s := newSource(readerFunc(func(b []byte) (int, error) {
		reads++
		if reads%2 == 1 {
			return 0, nil // readers may
		}
		return copy(b, "x"), nil
	}))
	open := make(chan struct{})
	for i := 1; i <= 3; i++ {
		b, err := s.next(open, nil)
		if string(b) != "x" || err != nil || reads != 2*i {
			t.Fatalf("question %d: %q, %v after %d reads", i, b, err, reads)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
