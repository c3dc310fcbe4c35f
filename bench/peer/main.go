//go:build linux

package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/tidewire/ws/bench/proc"
)

// Main is a server's process: it says "ready HOST:PORT" once it listens, and then answers on w the commands that come on r.
//
//	gc             collect garbage and give memory back to the system
//	mallocs        objects allocated so far
//	hub            the Stats of the hub, in JSON, if there is one
//	profile FILE   start a CPU profile
//	stop           end it
//	allocs FILE    write a profile of all allocations so far
func (s *Server) Main(cfg Config, r io.Reader, w io.Writer) error {
	serve := s.serve(cfg)
	if serve == nil {
		_, err := fmt.Fprintln(w, "unsupported")
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := ln.Addr().String()
	if cfg.TLS {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	go func() {
		fmt.Fprintln(os.Stderr, s.Name, "stopped serving:", serve(ln))
		os.Exit(1)
	}()
	return proc.Answer(r, w, addr, control)
}

func (s *Server) serve(cfg Config) func(net.Listener) error {
	if maker := s.Modes[cfg.Mode]; maker != nil {
		return maker(cfg)
	}
	return nil
}

var control = proc.Commands{
	"gc": func(string) (string, error) {
		// Twice: what the first one finds in a sync.Pool, the second one frees.
		runtime.GC()
		debug.FreeOSMemory()
		return "done", nil
	},
	"mallocs": func(string) (string, error) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return strconv.FormatUint(m.Mallocs, 10), nil
	},
	"hub": func(string) (string, error) {
		h := served.Load()
		if h == nil {
			return "", errors.New("this server has no hub")
		}
		b, err := json.Marshal(h.Stats())
		return string(b), err
	},
	"profile": func(path string) (string, error) {
		f, err := os.Create(path)
		if err != nil {
			return "", err
		}
		return "done", pprof.StartCPUProfile(f)
	},
	"stop": func(string) (string, error) {
		pprof.StopCPUProfile()
		return "done", nil
	},
	"allocs": func(path string) (string, error) {
		f, err := os.Create(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return "done", pprof.Lookup("allocs").WriteTo(f, 0)
	},
}

// selfSigned makes up a certificate; the load generator doesn't look at it.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
