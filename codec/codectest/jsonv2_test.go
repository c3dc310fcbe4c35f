//go:build goexperiment.jsonv2

package codectest_test

import (
	"testing"

	"github.com/tidewire/ws/codec"
	"github.com/tidewire/ws/codec/codectest"
)

func TestJSONv2(t *testing.T) {
	codectest.Test(t, codec.JSONv2, nil, "text", 7, []string{"a", ""}, map[string]int{"a": 1}, struct{ A, B int }{1, 2}, true)
}
