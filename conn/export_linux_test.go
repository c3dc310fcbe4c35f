//go:build linux && !wsnoepoll

package conn

// Spare is for how long an Engine keeps its epoll sets without connections.
const Spare = spare

// Sets is how many epoll sets e has.
func (e *Engine) Sets() int {
	e.poller.mu.Lock()
	defer e.poller.mu.Unlock()
	return len(e.poller.shards)
}
