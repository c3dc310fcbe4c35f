package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watched is a file that is followed, and what is done to it.
type watched struct {
	*testing.T
	*tail
}

func newWatched(t *testing.T) watched {
	w := watched{t, &tail{path: filepath.Join(t.TempDir(), "log")}}
	t.Cleanup(w.close)
	return w
}

func (w watched) append(text string) {
	w.Helper()
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		w.Fatal(err)
	}
}

func (w watched) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w watched) want(want string) {
	w.Helper()
	got, _, err := w.next()
	if err != nil {
		w.Fatal(err)
	}
	if string(got) != want {
		w.Fatalf("got %q, want %q", got, want)
	}
}

func TestLinesAsTheyCome(t *testing.T) {
	w := newWatched(t)
	w.want("") // there is no file yet
	w.append("one\ntwo\nthr")
	w.want("one\ntwo\n")
	w.want("")
	w.append("ee\nfour\n")
	w.want("three\nfour\n")
}

func TestTruncated(t *testing.T) {
	w := newWatched(t)
	w.append("one\nhalf")
	w.want("one\n")
	w.do(os.Truncate(w.path, 0))
	w.append("two\n")
	w.want("half\ntwo\n")
}

func TestRotated(t *testing.T) {
	w := newWatched(t)
	w.append("one\n")
	w.want("one\n")
	w.append("two\nhalf")
	w.do(os.Rename(w.path, w.path+".1"))
	w.want("two\n") // out of the old file, which is all there is
	w.append("three\n")
	w.want("half\nthree\n")
}

func TestRotatedUnread(t *testing.T) {
	w := newWatched(t)
	w.append("one\n")
	w.want("one\n")
	w.append("two\n")
	w.do(os.Rename(w.path, w.path+".1"))
	w.append("three\n")
	w.want("two\n")
	w.want("three\n")
}

// Of a long file the last lines are shown, from the start of a line.
func TestLongFile(t *testing.T) {
	w := newWatched(t)
	line := strings.Repeat("x", 99) + "\n"
	w.append(strings.Repeat(line, first/100+10))
	w.want(strings.Repeat(line, first/100))
}

func TestLongLine(t *testing.T) {
	w := newWatched(t)
	w.append("short\n")
	w.want("short\n")
	w.append(strings.Repeat("x", maxRead+10) + "\n")
	w.want(strings.Repeat("x", maxRead))
	w.want(strings.Repeat("x", 10) + "\n")
}

func TestInvalidUTF8(t *testing.T) {
	w := newWatched(t)
	w.append("a\xffb\n")
	w.want("a\uFFFDb\n")
}

func TestUnreadable(t *testing.T) {
	w := newWatched(t)
	w.do(os.Mkdir(w.path, 0o700))
	if _, _, err := w.next(); err == nil {
		t.Error("a directory has lines")
	}
}
