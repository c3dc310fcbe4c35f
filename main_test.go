package ws_test

import (
	"testing"

	"github.com/tidewire/ws/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
