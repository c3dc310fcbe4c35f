package conformance

import (
	"fmt"
	"time"
)

// deflateSizes are the rows of each group in sections 12 and 13: length of a message, and of its fragments.
var deflateSizes = []struct{ size, fragment int }{
	{16, 0}, {64, 0}, {256, 0}, {1024, 0}, {4096, 0}, {8192, 0}, {16384, 0}, {32768, 0}, {65536, 0}, {131072, 0},
	{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256}, {131072, 1024}, {131072, 4096}, {131072, 32768},
}

// deflateCases are messages compressed with permessage-deflate: different data (12), different parameters (13).
func deflateCases() []*Case {
	var cs []*Case
	for i := range corpora {
		cs = append(cs, deflateGroup(fmt.Sprintf("12.%d", i+1), &corpora[i], deflateWish{})...)
	}
	for i, wishes := range [][]deflateWish{
		{{}},
		{{noTakeover: true}},
		{{bits: 9}},
		{{bits: 15}},
		{{noTakeover: true, bits: 9}},
		{{noTakeover: true, bits: 15}},
		{{noTakeover: true, bits: 9}, {noTakeover: true}, {}},
	} {
		cs = append(cs, deflateGroup(fmt.Sprintf("13.%d", i+1), &corpora[0], wishes...)...)
	}
	return cs
}

func deflateGroup(group string, data *corpus, wishes ...deflateWish) []*Case {
	var cs []*Case
	for i, row := range deflateSizes {
		limit := 480 * time.Second
		if row.size < 4096 {
			limit = []time.Duration{60, 60, 120, 240}[i] * time.Second
		}
		title := fmt.Sprintf("Send 1000 messages of length %d, cut from %s, each when the last one has been echoed", row.size, data.name)
		if row.fragment > 0 {
			title += fmt.Sprintf(", in fragments of %d bytes", row.fragment)
		}
		cs = append(cs, &Case{
			ID: fmt.Sprintf("%s.%d", group, i+1), Section: "RFC 7692", Expect: "Each message is echoed; normal close.",
			Title: fmt.Sprintf("%s. The peer is asked for %s.", title, alternatives(wishes)),
			build: func(scale int) *script {
				return &script{close: normally, deflate: &deflateTest{wishes}, echo: &echoTest{
					op: data.op, count: max(1, 1000/scale), limit: limit, next: data.messages(row.size), fragment: row.fragment,
				}}
			},
		})
	}
	return cs
}

func alternatives(wishes []deflateWish) string {
	s := wishes[0].String()
	for _, w := range wishes[1:] {
		s += ", or else " + w.String()
	}
	return s
}
