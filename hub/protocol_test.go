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

// A hub that can't is asked again; and who may not is told no more than that.
func TestRequestsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.clients["A"] = s.connect("ada")
		s.send("A", `{"id":1,"type":"$resume","data":{"rooms":[`+strings.Repeat(`{"room":"x"},`, 100)+`{"room":"x"}]}}`)
		s.gets("A", `{"id":1,"error":{"code":"conflict","message":"too many rooms"}}`)
		s.send("A", `{"id":2,"type":"$join","data":{"room":"x","meta":"`+strings.Repeat("m", 5<<10)+`"}}`)
		s.gets("A", `{"id":2,"error":{"code":"invalid","message":"meta: has more than 4096 bytes"}}`)
		s.send("A", `{"id":3,"type":"$join","data":{"room":"x"}}`)
		s.gets("A", `{"room":"x","type":"$joined","data":{"recovered":false,"missed":0}}`)
		s.gets("A", `{"id":3,"data":{"recovered":false,"missed":0}}`)
		s.send("A", `{"id":4,"type":"$publish","data":{"room":"x","type":"said","id":"`+strings.Repeat("i", 65)+`","data":{"text":"x"}}}`)
		s.gets("A", `{"id":4,"error":{"code":"invalid","message":"id: has more than 64 bytes"}}`)
		if err := s.hub.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.send("A", `{"id":5,"type":"$join","data":{"room":"y"}}`)
		s.gets("A", `{"id":5,"error":{"code":"unavailable","retry_ms":1000}}`)
		s.send("A", `{"id":6,"type":"$publish","data":{"room":"x","type":"said","data":{"text":"x"}}}`)
		s.gets("A", `{"id":6,"error":{"code":"unavailable","retry_ms":1000}}`)
	})
}
