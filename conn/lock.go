package conn

import (
	"context"
	"sync"
	"sync/atomic"
)

// lock is a mutex whose waiters can give up. Taking it free costs one
// compare-and-swap; a channel to wait on is made only when somebody waits.
type lock struct {
	state atomic.Uint32

	mu   sync.Mutex
	wake chan struct{} // closed by the release; nil: nobody waits
}

const (
	lockFree = iota
	lockHeld
	lockAwaited // held, and wake may be waited on
)

func (l *lock) tryAcquire() bool { return l.state.CompareAndSwap(lockFree, lockHeld) }

// acquire takes the lock, or gives up with ctx's error or when over ends.
func (l *lock) acquire(ctx context.Context, over <-chan struct{}) error {
	for !l.tryAcquire() {
		wake := l.await()
		if wake == nil {
			continue
		}
		select {
		case <-wake:
		case <-over:
			return context.Canceled // the caller knows better why
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// await returns what the holder will close, or nil if there is no holder any more.
func (l *lock) await() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.state.CompareAndSwap(lockHeld, lockAwaited) && l.state.Load() != lockAwaited {
		return nil
	}
	if l.wake == nil {
		l.wake = make(chan struct{})
	}
	return l.wake
}

func (l *lock) release() {
	if !l.state.CompareAndSwap(lockHeld, lockFree) {
		l.wakeAll()
	}
}

// wakeAll is release where somebody may be waiting.
func (l *lock) wakeAll() {
	l.mu.Lock()
	wake := l.wake
	l.wake = nil
	l.state.Store(lockFree)
	l.mu.Unlock()
	if wake != nil {
		close(wake)
	}
}
