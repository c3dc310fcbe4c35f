package brokertest

import (
	"bytes"
	"context"
	"testing"

	"github.com/tidewire/ws/hub"
)

// publishers is how many goroutines a benchmark publishes from, for each CPU.
const publishers = 8

// Benchmark measures publishing of 128 bytes from several goroutines to a topic
// with one subscriber, until the broker has taken a message, and with a history
// until it is kept.
func Benchmark(b *testing.B, n Network) {
	for name, topic := range map[string]hub.Topic{"Plain": plain(), "Kept": kept(1000)} {
		b.Run(name, func(b *testing.B) {
			v := start(b, n)
			if _, keeps := v.Broker.(hub.History); topic.History > 0 && !keeps {
				b.Skip("no history")
			}
			if err := v.Subscribe(within(b), topic); err != nil {
				b.Fatal(err)
			}
			data := bytes.Repeat([]byte("x"), 128)
			b.SetParallelism(publishers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := v.Publish(context.Background(), topic, "", data); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
