//go:build linux && !wsnoepoll

package conn

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// poller has the sockets of an Engine wait in epoll sets of its own, one for
// each processor, made with the first connection and closed a moment after the
// last: where connections come and go, there may often be none.
//
// An epoll set is itself a descriptor that the runtime's netpoller can wait for,
// so that no thread is blocked. A socket is in the netpoller as well only once a
// call has had to wait for it, or if it is still package net's.
type poller struct {
	mu     sync.Mutex
	shards []*shard // nil: none are needed
	next   int
	live   int
	timer  *time.Timer // retires the shards
	armed  bool
}

// spare is for how long shards stay without connections: less than those wait who
// look for goroutines that were left.
const spare = 100 * time.Millisecond

// run attaches c; false if it has no socket or there can be no epoll set.
func (p *poller) run(c *Conn, ev Events) bool {
	if !c.socket && !c.findBeneath() {
		return false
	}
	s, err := p.enter()
	if err != nil {
		return false
	}
	a := &attachment{c: c, ev: ev, poller: p, shard: s}
	a.state.Store(turning)
	s.add(a)
	if a.watch(syscall.EPOLL_CTL_ADD) != nil {
		s.remove(a)
		p.leave()
		return false
	}
	if !c.socket && c.reading.tryAcquire() { // else somebody reads already, and a goroutine stays
		c.in.quiet.polled = true
		c.reading.release()
	}
	c.attached.Store(a)
	s.push(a) // for what has arrived already, or if c is over
	return true
}

// enter counts a connection and gives it a shard.
func (p *poller) enter() (*shard, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shards == nil {
		for range runtime.GOMAXPROCS(0) {
			s, err := newShard()
			if err != nil {
				p.close()
				return nil, err
			}
			p.shards = append(p.shards, s)
		}
	}
	p.live++
	p.next++
	return p.shards[p.next%len(p.shards)], nil
}

func (p *poller) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live--; p.live > 0 || p.armed {
		return
	}
	p.armed = true
	if p.timer == nil {
		p.timer = time.AfterFunc(spare, p.retire)
	} else {
		p.timer.Reset(spare)
	}
}

func (p *poller) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	if p.live == 0 {
		p.close()
	}
}

func (p *poller) close() {
	for _, s := range p.shards {
		s.close()
	}
	p.shards = nil
}

// attachment is a connection's place in a shard. Whoever moves state away from
// resting handles the connection, alone, until state is resting again.
type attachment struct {
	c      *Conn
	ev     Events
	poller *poller
	shard  *shard
	slot   uint32
	state  atomic.Uint32
}

const (
	resting = 0
	turning = 1 << iota // somebody handles the connection, or will
	again               // something has happened since: look once more
	hungUp              // the peer has ended its side
)

// wake has the connection looked at.
func (a *attachment) wake() {
	if a.notice(0) {
		a.shard.push(a)
	}
}

// notice notes that something has happened, and reports whether the caller has
// to see to it that a turn is taken.
func (a *attachment) notice(flags uint32) bool {
	for {
		old := a.state.Load()
		if old == resting {
			if a.state.CompareAndSwap(old, turning|flags) {
				return true
			}
		} else if a.state.CompareAndSwap(old, old|again|flags) {
			return false
		}
	}
}

// start has what has arrived handled, in a turn of the shard's goroutines, or by
// one of the connection's own where reading may block. The shard's mu is held.
func (a *attachment) start() {
	if a.c.socket {
		a.shard.queue = append(a.shard.queue, a)
	} else {
		go a.stay()
	}
}

// turn handles what has arrived.
func (a *attachment) turn() {
	for {
		st := a.state.And(^uint32(again)) &^ again
		err := a.c.handleReady(a.ev, st&hungUp != 0)
		if err != errNotReady {
			a.leave()
			go a.ev.Ended(eventsEnd(err))
			return
		}
		if a.state.CompareAndSwap(st, resting) {
			return
		}
	}
}

func (a *attachment) leave() {
	a.shard.remove(a)
	a.poller.leave()
}

// watch has the set report the socket, once for each time that something
// arrives, or, for a connection with a goroutine that stays, once and no more.
func (a *attachment) watch(op int) error {
	const edge = 1 << 31 // EPOLLET, which package syscall has as a negative number
	id := a.shard.id(a)
	ev := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | edge,
		Fd:     int32(uint32(id)),
		Pad:    int32(uint32(id >> 32)),
	}
	if !a.c.socket {
		ev.Events |= syscall.EPOLLONESHOT
	}
	var failed error
	err := a.c.raw.rc.Control(func(fd uintptr) { failed = syscall.EpollCtl(a.shard.fd, op, int(fd), &ev) })
	return errors.Join(err, os.NewSyscallError("epoll_ctl", failed))
}

// shard is one epoll set and the goroutines that serve it. One of them at a time
// polls; it handles itself what it finds, so that in the common case a message
// is read, handled and answered without waking anybody. Should it stay away for
// long, because a handler blocks, a watchdog sends another one to poll.
type shard struct {
	file *os.File // the epoll set
	fd   int
	rc   syscall.RawConn
	step func(uintptr) bool

	// The polling goroutine's.
	events [128]syscall.EpollEvent
	found  int

	mu      sync.Mutex
	idle    sync.Cond // workers with nothing to do
	resting int       // of them
	closed  bool
	polling bool
	busy    int           // workers in a turn
	queue   []*attachment // turns to be taken, from next on
	next    int
	turns   uint64 // ever taken
	slow    int    // turns for which a handler that blocks is expected

	watchdog *time.Timer
	armed    bool
	seen     uint64 // turns when it was armed

	slots []slot
	free  []uint32
}

// slot is where an event finds its connection. The generation tells the events
// of a slot's former owner, whose descriptor may have been closed meanwhile.
type slot struct {
	a          *attachment
	generation uint32
}

const (
	// patience is how long nobody polls before the watchdog helps.
	patience = time.Millisecond
	// suspicion is for how many turns after that a second goroutine polls at once.
	suspicion = 256
	// maxResting is how many goroutines are kept for when they are needed.
	maxResting = 4
)

func newShard() (*shard, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // tells os that it can be polled
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	s := &shard{file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	if s.rc, err = s.file.SyscallConn(); err != nil {
		_ = s.file.Close()
		return nil, err
	}
	s.idle.L = &s.mu
	s.step = s.fetch
	go s.work()
	return s, nil
}

// close ends the shard's goroutines; it has no connections any more.
func (s *shard) close() {
	s.mu.Lock()
	s.closed = true
	if s.watchdog != nil {
		s.watchdog.Stop()
	}
	s.idle.Broadcast()
	s.mu.Unlock()
	_ = s.file.Close() // ends the poll
}

func (s *shard) add(a *attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		a.slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		a.slot = uint32(len(s.slots))
		s.slots = append(s.slots, slot{})
	}
	s.slots[a.slot].a = a
}

// id is what the events of a's socket have with them.
func (s *shard) id(a *attachment) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(s.slots[a.slot].generation)<<32 | uint64(a.slot)
}

func (s *shard) remove(a *attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := &s.slots[a.slot]
	sl.a = nil
	sl.generation++
	s.free = append(s.free, a.slot)
}

// push has a turn taken by somebody who comes for it.
func (s *shard) push(a *attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.start(); len(s.queue) > 0 {
		s.help()
	}
}

// help gets one more goroutine to work.
func (s *shard) help() {
	if s.resting > 0 {
		s.idle.Signal()
	} else {
		go s.work()
	}
}

// work is what the shard's goroutines do.
func (s *shard) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.next < len(s.queue):
			s.takeTurn()
		case s.closed:
			return
		case !s.polling:
			s.poll()
		case s.resting == maxResting:
			return
		default:
			s.resting++
			s.idle.Wait()
			s.resting--
		}
	}
}

func (s *shard) takeTurn() {
	a := s.queue[s.next]
	s.queue[s.next] = nil
	if s.next++; s.next == len(s.queue) {
		s.queue, s.next = s.queue[:0], 0
	}
	s.turns++
	s.busy++
	if !s.polling {
		s.lookOut()
	}
	s.mu.Unlock()
	a.turn()
	s.mu.Lock()
	s.busy--
	s.turns++
}

// lookOut sees to it that somebody will poll if the turn that begins takes long.
func (s *shard) lookOut() {
	if s.slow > 0 {
		s.slow--
		s.help()
		return
	}
	if s.armed || s.closed {
		return
	}
	s.armed, s.seen = true, s.turns
	if s.watchdog == nil {
		s.watchdog = time.AfterFunc(patience, s.bark)
	} else {
		s.watchdog.Reset(patience)
	}
}

func (s *shard) bark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if s.closed || s.polling || s.busy == 0 {
		return
	}
	if s.turns == s.seen {
		s.slow = suspicion
		s.help()
		return
	}
	s.lookOut()
}

// poll waits for events and queues their connections' turns. mu is held before
// and after.
func (s *shard) poll() {
	s.polling = true
	s.mu.Unlock()
	s.found = 0
	err := s.rc.Read(s.step)
	s.mu.Lock()
	s.polling = false
	if err != nil {
		s.closed = true
		return
	}
	for _, ev := range s.events[:s.found] {
		sl := s.slots[uint32(ev.Fd)]
		if sl.a == nil || sl.generation != uint32(ev.Pad) {
			continue
		}
		var flags uint32
		if ev.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			flags = hungUp
		}
		if sl.a.notice(flags) {
			sl.a.start()
		}
	}
}

// fetch is called when there may be events; false means that there are none.
func (s *shard) fetch(fd uintptr) bool {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd,
		uintptr(unsafe.Pointer(&s.events)), uintptr(len(s.events)), 0, 0, 0)
	if errno == 0 {
		s.found = int(n)
	}
	return s.found > 0
}
