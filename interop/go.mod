module github.com/tidewire/ws/interop

go 1.26.0

require github.com/tidewire/ws v0.0.0

require github.com/klauspost/compress v1.20.3 // indirect

replace github.com/tidewire/ws => ../
