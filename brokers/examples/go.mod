module github.com/tidewire/ws/brokers/examples

go 1.26.0

replace (
	github.com/tidewire/ws => ../../
	github.com/tidewire/ws/brokers/nats => ../nats
	github.com/tidewire/ws/brokers/redis => ../redis
)

require (
	github.com/nats-io/nats.go v1.55.0
	github.com/redis/rueidis v1.0.79
	github.com/tidewire/ws v0.0.0-00010101000000-000000000000
	github.com/tidewire/ws/brokers/nats v0.0.0-00010101000000-000000000000
	github.com/tidewire/ws/brokers/redis v0.0.0-00010101000000-000000000000
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nats-server/v2 v2.15.2 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
