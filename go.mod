module github.com/tidewire/ws

go 1.26.0

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/klauspost/compress v1.20.3
	golang.org/x/time v0.16.0
)
