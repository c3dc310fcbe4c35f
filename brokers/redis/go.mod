module github.com/tidewire/ws/brokers/redis

go 1.26.0

replace github.com/tidewire/ws => ../../

require (
	github.com/redis/rueidis v1.0.79
	github.com/tidewire/ws v0.0.0-00010101000000-000000000000
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
