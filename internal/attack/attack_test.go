//go:build linux

package attack_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	duration = flag.Duration("attack", 0, "how long each attack is; 0 is a smoke run")
	rounds   = flag.Int("rounds", 1, "how often each attack is made")
)

// Set, they make the test's own binary the server, or the attackers.
const (
	asServer    = "ATTACK_TEST_SERVER"
	asAttackers = "ATTACK_TEST_ATTACKERS"
)

func TestMain(m *testing.M) {
	for name, role := range map[string]func(order) error{asServer: serve, asAttackers: assail} {
		if text := os.Getenv(name); text != "" {
			var o order
			err := json.Unmarshal([]byte(text), &o)
			if err == nil {
				err = role(o)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

// order is what a process is told.
type order struct {
	Attack   string
	Addr     string
	Time     time.Duration
	Quiet    time.Duration // before it
	Patience time.Duration // the server's timeouts; its defaults would make long runs
	Share    float64       // of the attack's connections
}

// most is how much a server's memory may grow under any of these attacks.
const most = 64 << 20

// TestAttacks makes all attacks, one after the other, each on a new server.
func TestAttacks(t *testing.T) {
	o := order{Quiet: *duration, Time: *duration, Patience: 2 * time.Second, Share: 1}
	if o.Time == 0 {
		o = order{Quiet: 50 * time.Millisecond, Time: 300 * time.Millisecond, Patience: 150 * time.Millisecond, Share: 0.05}
	}
	var table strings.Builder
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			o.Attack = a.name
			var all []result
			for range max(*rounds, 1) {
				all = append(all, siege(t, o))
			}
			r := median(all)
			if len(r.ends) == 0 {
				t.Error("no attacker's connection was ended")
			}
			for end := range r.ends {
				if end != a.want && !slices.Contains(a.also, end) {
					t.Errorf("attackers' connections were %s, want %s: %v", end, a.want, r.ends)
				}
			}
			if grown := r.memoryMost - r.memory; grown > most {
				t.Errorf("the server has grown by %d bytes", grown)
			}
			fmt.Fprintf(&table, "| %s | %s | %v |\n", a.about, r.ended(a), r)
		})
	}
	if *duration > 0 {
		fmt.Printf("\n| attack | its connections | memory, MiB | CPU, cores | p99, ms | ratio |\n| :-- | :-- | --: | --: | --: | --: |\n%s\n", &table)
	}
}

// result is what an attack did.
type result struct {
	memory, memoryMost int64 // resident, in bytes
	cores, coresDuring float64
	p99, p99During     time.Duration
	ends               map[string]int // of the attackers' connections, or requests
}

func (r result) String() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%d, %d | %.2f, %.2f | %.2f, %.2f | %.2f", r.memory>>20, r.memoryMost>>20, r.cores, r.coresDuring,
		ms(r.p99), ms(r.p99During), ms(r.p99During)/ms(r.p99))
}

// ended says in words how the connections of a ended, the frequent ends first.
func (r result) ended(a *attack) string {
	ends := slices.SortedFunc(maps.Keys(r.ends), func(x, y string) int { return r.ends[y] - r.ends[x] })
	words := []string{fmt.Sprintf("%d at a time", a.conns)}
	for _, end := range ends {
		words = append(words, fmt.Sprintf("%d %s", r.ends[end], end))
	}
	return strings.Join(words, "; ")
}

// median is the result whose ratio of latencies is the one in the middle.
func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int {
		x, y := float64(a.p99During)/float64(a.p99), float64(b.p99During)/float64(b.p99)
		return int(1000*x) - int(1000*y)
	})
	return all[len(all)/2]
}

// siege makes one attack.
func siege(t *testing.T, o order) (r result) {
	server := start(t, asServer, o)
	o.Addr = server.says()
	good := welcome(t, o.Addr)

	from := server.cpu()
	<-time.After(o.Quiet)
	r.p99, r.cores = p99(good.take()), (server.cpu()-from).Seconds()/o.Quiet.Seconds()
	r.memory = server.memory()

	from = server.cpu()
	since := time.Now()
	attackers := start(t, asAttackers, o)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for r.memoryMost = r.memory; attackers.runs(); <-tick.C {
		r.memoryMost = max(r.memoryMost, server.memory())
	}
	r.p99During, r.coresDuring = p99(good.take()), (server.cpu()-from).Seconds()/time.Since(since).Seconds()
	if err := json.Unmarshal([]byte(attackers.says()), &r.ends); err != nil {
		t.Fatal(err)
	}
	server.forgets(o.Addr, len(good.conns))
	good.leave(t)
	return r
}

// p99 is what 99 of 100 are not longer than.
func p99(waits []time.Duration) time.Duration {
	if len(waits) == 0 {
		return 0
	}
	slices.Sort(waits)
	return waits[len(waits)*99/100]
}

// process is a process that ends with the test.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{}
}

func start(t *testing.T, role string, o order) *process {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	if chrt, err := exec.LookPath("chrt"); err == nil && role == asAttackers {
		// Their own work is not to slow down the clients that are measured: in earnest they have machines of their own. The
		// session is what Linux's scheduler divides time by first (sched(7), "The autogroup feature").
		cmd = exec.Command(chrt, "--idle", "0", os.Args[0])
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	p := &process{t: t, cmd: cmd, lines: make(chan string, 1), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), role+"="+string(text))
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe() // its end is the process's
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})
	return p
}

// says returns the line that the process prints.
func (p *process) says() string {
	p.t.Helper()
	select {
	case s := <-p.lines:
		return s
	case <-time.After(time.Minute):
		p.t.Fatal("a process is silent")
		return ""
	}
}

func (p *process) runs() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// cpu is the CPU time that the process has used, to 10 ms: proc(5), fields 14 and 15 of stat.
func (p *process) cpu() time.Duration {
	fields := p.proc("stat")
	user, _ := strconv.ParseInt(fields[13], 10, 64)
	system, _ := strconv.ParseInt(fields[14], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is the process's resident set in bytes.
func (p *process) memory() int64 {
	pages, _ := strconv.ParseInt(p.proc("statm")[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func (p *process) proc(name string) []string {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		p.t.Fatalf("%s: %q, %v", name, b, err)
	}
	return fields
}

// forgets waits until the server has no connections but those of well-behaved clients.
func (p *process) forgets(addr string, want int) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var live string
	for range 1000 {
		resp, err := http.Get("http://" + addr + "/live")
		if err != nil {
			p.t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if live = string(b); live == strconv.Itoa(want) {
			return
		}
		<-tick.C
	}
	p.t.Errorf("%s connections are left, want %d", live, want)
}
