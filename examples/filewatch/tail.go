package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

const (
	first   = 64 << 10 // how much of the file's end is shown at first
	maxRead = 64 << 10 // how much is read at a time, and the longest line
)

// tail reads the lines of a file as it grows, and those of another file that
// takes its place, or of the same one when it has been truncated. The file may
// be missing for a while.
type tail struct {
	path string
	file *os.File // nil: none has been there yet
	at   int64    // up to where it has been read
	part []byte   // a last line without an end
}

// next returns what has been added since, whole lines in valid UTF-8, and
// whether there is more at once. A line that is too long is cut.
func (t *tail) next() (lines []byte, more bool, err error) {
	if err := t.reopen(); err != nil || t.file == nil {
		return nil, false, err
	}
	b := append(t.part, make([]byte, maxRead)...)
	n, err := t.file.ReadAt(b[len(t.part):], t.at)
	if err != nil && err != io.EOF {
		return nil, false, err
	}
	t.at += int64(n)
	b = b[:len(t.part)+n]
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 && len(b) >= maxRead {
		end = len(b)
	}
	t.part = bytes.Clone(b[end:])
	return bytes.ToValidUTF8(b[:end], []byte("\uFFFD")), n == maxRead, nil
}

// reopen sees to it that the file is the one at the path, once the old one has
// been read to its end.
func (t *tail) reopen() error {
	there, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case t.file == nil:
		return t.open(there.Size() - first)
	}
	open, err := t.file.Stat()
	switch {
	case err != nil:
		return err
	case open.Size() < t.at: // truncated
		t.rewind()
	case open.Size() == t.at && !os.SameFile(open, there):
		t.close()
		return t.open(0)
	}
	return nil
}

// open begins with the first line that starts behind from.
func (t *tail) open(from int64) (err error) {
	if t.file, err = os.Open(t.path); err != nil {
		return err
	}
	t.rewind()
	if from <= 0 {
		return nil
	}
	b := make([]byte, first)
	n, err := t.file.ReadAt(b, from)
	if err != nil && err != io.EOF {
		return err
	}
	t.at = from + int64(bytes.IndexByte(b[:n], '\n')+1)
	return nil
}

// rewind begins again, and with a new line.
func (t *tail) rewind() {
	t.at = 0
	if len(t.part) > 0 {
		t.part = append(t.part, '\n')
	}
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
}
