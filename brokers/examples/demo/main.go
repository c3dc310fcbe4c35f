// Command demo runs the chat on two nodes behind nginx, all on this machine:
//
//	go run ./demo
//
// and prints the URL. Reload the page, or stop one of the nodes by its process
// id, and the page goes on with the other one.
//
// It needs nginx (apt-get install nginx-light).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` for the browser, on loopback")
	redis := flag.String("redis", "", "`address` of a Redis server that connects the nodes; empty: they bring NATS servers of their own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "chat-demo")
	if err != nil {
		log.Fatal(err)
	}
	err = run(ctx, dir, *addr, *redis)
	_ = os.RemoveAll(dir) // it is in the system's directory for such things
	if err != nil {
		log.Fatal(err)
	}
}

// run runs nginx and two nodes until ctx ends, or nginx does.
func run(ctx context.Context, dir, addr, redis string) error {
	nginx, err := lookNginx()
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "chat")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/tidewire/ws/brokers/examples/chat")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	nodes, others, err := addresses()
	if err != nil {
		return err
	}
	var running []*exec.Cmd
	defer func() {
		for _, cmd := range running {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}()
	for i, node := range nodes {
		args := []string{"-addr", node, "-redis", redis}
		if redis == "" {
			args = []string{"-addr", node, "-cluster", others[i], "-routes", strings.Join(others, ",")}
		}
		cmd := exec.Command(program, args...)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		running = append(running, cmd)
		fmt.Printf("node %d: http://%s (process %d)\n", i+1, node, cmd.Process.Pid)
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(config(addr, nodes)), 0o600); err != nil {
		return err
	}
	front := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr", "-g", "daemon off;")
	front.Stderr = os.Stderr
	if err := front.Start(); err != nil {
		return err
	}
	running = append(running, front)
	if err := await(ctx, append(nodes, addr)); err != nil {
		return err
	}
	fmt.Printf("chat: http://%s\n", addr)
	<-ctx.Done()
	return nil
}

func lookNginx() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("nginx is not installed: apt-get install nginx-light")
}

// addresses returns free ones on loopback: of two nodes for nginx, and for each other.
func addresses() (nodes, others []string, err error) {
	var free [4]string
	for i := range free {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		defer ln.Close()
		free[i] = ln.Addr().String()
	}
	return free[:2:2], free[2:], nil
}

// await waits until somebody listens everywhere.
func await(ctx context.Context, addrs []string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, addr := range addrs {
		for {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				_ = c.Close()
				break
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return err
			}
		}
	}
	return nil
}

// config has nginx give each page to the next of the nodes.
func config(addr string, nodes []string) string {
	return fmt.Sprintf(`
worker_processes 1;
pid nginx.pid;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path temp;
	proxy_temp_path temp;
	fastcgi_temp_path temp;
	uwsgi_temp_path temp;
	scgi_temp_path temp;
	map $http_upgrade $connection_upgrade { default upgrade; '' close; }
	upstream nodes { server %s; server %s; }
	server {
		listen %s;
		location / {
			proxy_pass http://nodes;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host; # the origin is held against it
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_read_timeout 1h; # pings are frequent enough; nginx need not count
			proxy_next_upstream error timeout;
			proxy_connect_timeout 2s;
		}
	}
}
`, nodes[0], nodes[1], addr)
}
