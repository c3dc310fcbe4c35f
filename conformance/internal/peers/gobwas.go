package peers

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// gobwas/ws has no echo loop of its own: wsutil's ReadData checks UTF-8 and answers control frames.
func gobwasPeer() Peer {
	return Peer{
		Name: "gobwas/ws",
		Server: func(int64) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if conn, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
					gobwasEcho(conn, conn, ws.StateServerSide)
				}
			})
		},
		Client: func(ctx context.Context, url string, _ int64) error {
			conn, br, _, err := ws.Dial(ctx, url)
			if err != nil {
				return err
			}
			var r io.Reader = conn
			if br != nil {
				r = br
			}
			gobwasEcho(conn, r, ws.StateClientSide)
			return nil
		},
	}
}

func gobwasEcho(conn net.Conn, r io.Reader, side ws.State) {
	defer conn.Close()
	rw := struct {
		io.Reader
		io.Writer
	}{r, conn}
	for {
		data, op, err := wsutil.ReadData(rw, side)
		if err != nil {
			return
		}
		if err := wsutil.WriteMessage(conn, side, op, data); err != nil {
			return
		}
	}
}
