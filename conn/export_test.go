package conn

import "unsafe"

// Heard is a number that changes whenever a read has got bytes.
func (c *Conn) Heard() uint32 { return c.watch.traffic.Load() >> 1 }

// Idle reports whether the keeper watches nobody and its timer is stopped.
func (k *Keeper) Idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns) == 0 && (k.timer == nil || !k.timer.Stop())
}

// Listening reports whether a read waits for bytes.
func (c *Conn) Listening() bool { return c.watch.traffic.Load()&1 != 0 }

// Polls reports whether an Engine has sockets wait without a goroutine each.
func Polls() bool { return unsafe.Sizeof(poller{}) > 0 }
