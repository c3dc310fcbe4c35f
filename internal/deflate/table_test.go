package deflate_test

import (
	"bytes"
	stdflate "compress/flate"
	"flag"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	kpflate "github.com/klauspost/compress/flate"
	"github.com/tidewire/ws/internal/deflate"
	"github.com/tidewire/ws/internal/deflate/traffic"
)

var table = flag.Bool("table", false, "print the table of README.md")

// contender is one way to do the work, with what it took: time for each round, and bytes.
type contender struct {
	name  string
	do    func(text, wire []byte) (n int)
	times []time.Duration
	bytes int
}

// TestTable measures this package beside the ways that others work, interleaved, so that the machine's moods hit all
// alike. A figure is the fastest of many rounds, each over texts that haven't been seen before: what else the machine has to
// do only adds to it.
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("-table prints it; it takes half a minute")
	}
	for _, size := range []int{128, 512, 1024, 2048, 16384} {
		const rounds, warm = 100, 20
		n := max(4, 16384/size)
		texts := traffic.Messages(7, size, rounds*n)
		wires := [2][][]byte{make([][]byte, len(texts)), make([][]byte, len(texts))}
		compress(wires[0], texts, deflate.Direction{WindowBits: 15})
		compress(wires[1], texts, deflate.Direction{WindowBits: 15, Takeover: true})
		for _, group := range []struct {
			name string
			list []*contender
			wire [][]byte
		}{
			{"deflate, no takeover", alone(), wires[0]},
			{"deflate, takeover", remembering(), wires[0]},
			{"inflate, no takeover", inflaters(false), wires[0]},
			{"inflate, takeover", inflaters(true), wires[1]},
		} {
			plain := 0
			for r := range rounds {
				for k := range group.list { // whoever comes first finds cold caches, so that goes round
					c := group.list[(k+r)%len(group.list)]
					sum, start := 0, time.Now()
					for i := r * n; i < (r+1)*n; i++ {
						sum += c.do(texts[i], group.wire[i])
					}
					if r >= warm {
						c.times = append(c.times, time.Since(start)/time.Duration(n))
						c.bytes += sum
					}
				}
				for i := r * n; r >= warm && i < (r+1)*n; i++ {
					plain += len(texts[i])
				}
			}
			for _, c := range group.list {
				best, first := slices.Min(c.times), slices.Min(group.list[0].times)
				fmt.Printf("| %d | %s | %s | %.1f us | %.2f | %.3f |\n", size, group.name, c.name,
					float64(best.Nanoseconds())/1000, float64(best)/float64(first), float64(c.bytes)/float64(plain))
			}
		}
	}
}

func compress(wires, texts [][]byte, dir deflate.Direction) {
	c := deflate.NewCompressor(dir, deflate.Options{})
	for i, text := range texts {
		wires[i] = c.Append(nil, text, true)
	}
}

func own(name string, dir deflate.Direction, o deflate.Options) *contender {
	c := deflate.NewCompressor(dir, o)
	var buf []byte
	return &contender{name: name, do: func(text, _ []byte) int {
		buf = c.Append(buf[:0], text, true)
		return len(buf)
	}}
}

type flusher interface {
	io.Writer
	Flush() error
}

// through compresses with a writer; before is what its user does for each message.
func through[W flusher](name string, newWriter func(io.Writer) (W, error), before func(w W, out io.Writer), after func(text []byte)) *contender {
	out := new(bytes.Buffer)
	w, err := newWriter(out)
	if err != nil {
		panic(err)
	}
	return &contender{name: name, do: func(text, _ []byte) int {
		out.Reset()
		before(w, out)
		w.Write(text)
		w.Flush()
		after(text)
		return out.Len() - 4
	}}
}

func std(level int) func(io.Writer) (*stdflate.Writer, error) {
	return func(w io.Writer) (*stdflate.Writer, error) { return stdflate.NewWriter(w, level) }
}

func kp(level int) func(io.Writer) (*kpflate.Writer, error) {
	return func(w io.Writer) (*kpflate.Writer, error) { return kpflate.NewWriter(w, level) }
}

func noText([]byte) {}

func alone() []*contender {
	return []*contender{
		own("this", deflate.Direction{WindowBits: 15}, deflate.Options{}),
		own("this, level 6", deflate.Direction{WindowBits: 15}, deflate.Options{Level: 6}),
		through("compress/flate 1, reset (gorilla)", std(1), func(w *stdflate.Writer, out io.Writer) { w.Reset(out) }, noText),
		through("klauspost 1, reset", kp(1), func(w *kpflate.Writer, out io.Writer) { w.Reset(out) }, noText),
		{name: "klauspost stateless", do: func() func(text, _ []byte) int {
			var out bytes.Buffer
			return func(text, _ []byte) int {
				out.Reset()
				kpflate.StatelessDeflate(&out, text, false, nil)
				return out.Len() - 4
			}
		}()},
	}
}

func remembering() []*contender {
	dir := deflate.Direction{WindowBits: 15, Takeover: true}
	list := []*contender{
		own("this, 8 KiB", dir, deflate.Options{}),
		own("this, 4 KiB", dir, deflate.Options{History: 4096}),
		own("this, 16 KiB", dir, deflate.Options{History: 16384}),
		own("this, 32 KiB", dir, deflate.Options{History: 32768}),
		own("this, 8 KiB, level 6", dir, deflate.Options{Level: 6}),
		through("compress/flate 1, kept (coder)", std(1), func(*stdflate.Writer, io.Writer) {}, noText),
		through("klauspost 1, kept", kp(1), func(*kpflate.Writer, io.Writer) {}, noText),
		through("klauspost 6, kept", kp(6), func(*kpflate.Writer, io.Writer) {}, noText),
	}
	for _, size := range []int{4096, 32768} {
		var past []byte
		list = append(list, through(fmt.Sprintf("klauspost 1, ResetDict %d KiB", size>>10), kp(1),
			func(w *kpflate.Writer, out io.Writer) { w.ResetDict(out, past) },
			func(text []byte) {
				past = append(past, text...)
				past = past[:copy(past, past[max(0, len(past)-size):])]
			}))
	}
	return list
}

func inflaters(takeover bool) []*contender {
	d := deflate.NewDecompressor(deflate.Direction{WindowBits: 15, Takeover: takeover})
	var out []byte
	list := []*contender{{name: "this", do: func(text, wire []byte) int {
		var err error
		if out, err = d.Append(out[:0], 0, wire, true, 1<<20); err != nil || len(out) != len(text) {
			panic(fmt.Sprint(len(out), len(text), err))
		}
		return len(wire)
	}}}
	for name, r := range map[string]io.ReadCloser{"compress/flate": stdflate.NewReader(nil), "klauspost": kpflate.NewReader(nil)} {
		var past []byte
		var in bytes.Buffer
		buf := make([]byte, 20000)
		list = append(list, &contender{name: name, do: func(text, wire []byte) int {
			in.Reset()
			in.Write(wire)
			in.WriteString("\x00\x00\xff\xff\x01\x00\x00\xff\xff")
			r.(stdflate.Resetter).Reset(&in, past)
			n, err := io.ReadFull(r, buf)
			if n != len(text) || err != io.ErrUnexpectedEOF {
				panic(fmt.Sprint(n, len(text), err))
			}
			if takeover {
				past = append(past, text...)
				past = past[:copy(past, past[max(0, len(past)-32768):])]
			}
			return len(wire)
		}})
	}
	return list
}
