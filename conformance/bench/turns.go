package main

import "sync"

// turns has the workers do something n times in all, or until the time is up. It
// returns what the turns took, the errors of those that failed, and whether the
// time was up.
func (o clientOptions) turns(do func() (float64, error)) (took []float64, failed []error, capped bool) {
	var mu sync.Mutex // guards took and failed
	var wg sync.WaitGroup
	next := make(chan struct{})
	for range o.workers {
		wg.Go(func() {
			for range next {
				d, err := do()
				mu.Lock()
				if err == nil {
					took = append(took, d)
				} else {
					failed = append(failed, err)
				}
				mu.Unlock()
			}
		})
	}
	expiry := o.expiry()
	for i := 0; i < o.n && !capped; i++ {
		select {
		case next <- struct{}{}:
		case <-expiry:
			capped = true
		}
	}
	close(next)
	wg.Wait()
	return took, failed, capped
}
