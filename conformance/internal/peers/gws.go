package peers

import (
	"context"
	"net/http"

	"github.com/lxzan/gws"
)

// gwsEvents echoes; gws answers close frames itself, and leaves pings to its user.
type gwsEvents struct{ gws.BuiltinEventHandler }

func (gwsEvents) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

func (gwsEvents) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

func gwsPeer() Peer {
	deflate := gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true}
	return Peer{
		Name: "lxzan/gws",
		Server: func(limit int64) http.Handler {
			up := gws.NewUpgrader(gwsEvents{}, &gws.ServerOption{
				ReadMaxPayloadSize: int(limit), WriteMaxPayloadSize: int(limit), CheckUtf8Enabled: true, PermessageDeflate: deflate,
			})
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := up.Upgrade(w, r); err == nil {
					c.ReadLoop()
				}
			})
		},
		Client: func(_ context.Context, url string, limit int64) error {
			c, _, err := gws.NewClient(gwsEvents{}, &gws.ClientOption{
				Addr: url, ReadMaxPayloadSize: int(limit), WriteMaxPayloadSize: int(limit), CheckUtf8Enabled: true, PermessageDeflate: deflate,
			})
			if err == nil {
				c.ReadLoop()
			}
			return err
		},
	}
}
