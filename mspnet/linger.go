package mspnet

import "sync/atomic"

// linger is what SetLinger says of Close.
type linger struct{ abort atomic.Bool }

func (l *linger) set(abort bool) { l.abort.Store(abort) }
func (l *linger) aborts() bool   { return l.abort.Load() }
