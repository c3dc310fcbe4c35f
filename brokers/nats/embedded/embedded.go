// Package embedded is a NATS server inside the program, so that hubs on several
// nodes can talk with nothing else to install: each node has a server, and the
// servers form a cluster.
package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Options are a server's settings.
type Options struct {
	// Name is the node's, different from all others'; with JetStream it must be
	// the same after a restart. Default random.
	Name string

	// Cluster is the address at which the other nodes reach this one,
	// "127.0.0.1:6222" for example; "": there are no others.
	Cluster string

	// Secret is by what nodes know that they belong together; all have the
	// same. It is sent in the clear, as everything is: the network has to keep
	// strangers out. "": whoever reaches Cluster may take part.
	Secret string

	// Routes are the Cluster addresses of all nodes, this one's may be among
	// them. With JetStream all have to be said, and at least half of the nodes
	// have to be there for Start to return.
	Routes []string

	// Dir is where JetStream stores what it keeps; "": there is no JetStream.
	Dir string

	// Timeout is how long Start waits until the server is ready; default 30 s.
	Timeout time.Duration
}

// Server is a server that runs.
type Server struct {
	s        *server.Server
	password string // of clients
}

// user is by what name clients, and nodes with a Secret, log in.
const user = "ws"

// Start starts a server. Beside Cluster it listens at a port of the loopback
// interface, without which servers form no cluster; but nobody knows the password.
func Start(o Options) (*Server, error) {
	e := &Server{password: rand.Text()}
	opts := &server.Options{
		ServerName: o.Name, Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: user, Password: e.password,
		NoSigs: true, NoLog: true, JetStream: o.Dir != "", StoreDir: o.Dir,
	}
	if o.Cluster != "" {
		host, port, err := net.SplitHostPort(o.Cluster)
		if err != nil {
			return nil, fmt.Errorf("embedded: Cluster: %w", err)
		}
		opts.Cluster = server.ClusterOpts{Name: "ws", Host: host}
		if opts.Cluster.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("embedded: Cluster: %w", err)
		}
		var login *url.Userinfo
		if o.Secret != "" {
			opts.Cluster.Username, opts.Cluster.Password = user, o.Secret
			login = url.UserPassword(user, o.Secret)
		}
		for _, r := range o.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: r, User: login})
		}
	}
	var err error
	if e.s, err = server.NewServer(opts); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	e.s.Start()
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if err := e.awaitReady(o); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

var errNotReady = errors.New("embedded: server is not ready in time")

func (e *Server) awaitReady(o Options) error {
	deadline := time.Now().Add(o.Timeout)
	if !e.s.ReadyForConnections(o.Timeout) {
		return errNotReady
	}
	if o.Dir == "" || o.Cluster == "" {
		return nil
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !e.s.JetStreamIsCurrent() {
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: its JetStream has found too few of the other nodes (Options.Routes)", errNotReady)
		}
		<-tick.C
	}
	return nil
}

// Connect returns a connection to the server, without a network between. opts
// are added to those that this takes.
func (e *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	opts = append([]nats.Option{nats.InProcessServer(e.s), nats.UserInfo(user, e.password), nats.MaxReconnects(-1)}, opts...)
	return nats.Connect("", opts...)
}

// Stop stops the server and waits until it has ended. Connections to it should
// be closed before.
func (e *Server) Stop() {
	e.s.Shutdown()
	e.s.WaitForShutdown()
}
