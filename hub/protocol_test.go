package hub_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewire/ws"
	"github.com/tidewire/ws/hub"
)

// Behind the reply to $leave comes nothing of the room, however much waits for a
// client that does not read.
func TestLeaveDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.connect("ada")
		s.clients["A"] = c
		s.send("A", `{"id":1,"type":"$join","data":{"room":"news"}}`)
		s.gets("A", `{"room":"news","type":"$joined","data":{"recovered":false,"missed":0}}`)
		s.gets("A", `{"id":1,"data":{"recovered":false,"missed":0}}`)
		big := strings.Repeat("x", 10<<10)
		for range 100 {
			if _, err := s.hub.Publish(t.Context(), "news", hub.Message{Type: ws.Text, Data: []byte(big)}); err != nil {
				t.Fatal(err)
			}
		}
		if s.hub.Stats().Waiting == 0 {
			t.Fatal("nothing waits: the test tests nothing")
		}
		s.send("A", `{"id":2,"type":"$leave","data":{"room":"news"}}`)
		s.send("A", `{"id":3,"type":"$leave","data":{"room":"news"}}`)
		left := false
		for {
			_, b, err := c.Read(context.Background())
			switch {
			case err != nil:
				t.Fatal(err)
			case string(b) == `{"id":3}`:
				if !left {
					t.Error("the first one was not answered")
				}
				return
			case string(b) == `{"id":2}`:
				left = true
			case left:
				t.Fatalf("%.40s came behind the reply", b)
			}
		}
	})
}
