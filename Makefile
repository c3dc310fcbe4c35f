# The checks that a change has to pass. CI calls these targets (.ci/run) and no
# others; `make` runs those that take a minute.

.DEFAULT_GOAL := check
.PHONY: check test race engines vet format lint schema jsonv2 modules interop bench profile fuzz cover vuln

GOLANGCI := v2.15.0
FUZZTIME := 10s
# Systems other than this one that the code has to compile for.
SYSTEMS  := linux/arm64 darwin/arm64 windows/amd64
# Nested modules: what they need, users don't download.
NESTED   := $(patsubst %/go.mod,%,$(shell git ls-files '*/go.mod'))

# each runs a command for every x of a list, and fails in the end if one has.
each = @failed=0; for x in $(1); do echo "$@: $$x"; ($(2)) || failed=1; done; exit $$failed

check: test vet format lint

test:
	go test ./...

race:
	go test -race -shuffle=on ./...

# What waits in epoll sets on Linux, with goroutines that wait instead, as on
# other systems.
engines:
	go test -tags wsnoepoll -run 'Event|Engine|Many|Soak' . ./conn ./internal/soak
	cd conformance && go test -tags wsnoepoll -run '^TestServer$$' .

vet:
	go vet ./...
	$(call each,$(SYSTEMS),GOOS=$${x%/*} GOARCH=$${x#*/} go vet ./...)

format:
	test -z "$$(git ls-files '*.go' | xargs gofmt -l | tee /dev/stderr)"

# golangci-lint brings staticcheck with it.
lint: .cache/golangci-lint-$(GOLANGCI)
	$(call each,. $(NESTED),cd $$x && $(CURDIR)/$< run ./...)

.cache/golangci-lint-$(GOLANGCI):
	GOBIN=$(CURDIR)/.cache go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	mv .cache/golangci-lint $@

# What is made from types, held against TypeScript's compiler, AsyncAPI's own
# schema and a browser; without these packages such tests are skipped.
schema: router/schema/client/node_modules
	go test -count=1 ./router/schema/... ./examples/rpc

router/schema/client/node_modules: router/schema/client/package.json
	cd router/schema/client && npm install --no-audit --no-fund
	touch $@

# What is there only with Go's experiment of that name.
jsonv2:
	GOEXPERIMENT=jsonv2 go vet ./codec/...
	GOEXPERIMENT=jsonv2 go test ./codec/...

# All nested modules but interop, which needs its peers.
modules:
	$(call each,$(filter-out interop,$(NESTED)),cd $$x && go vet ./... && go test ./...)

# Other implementations' clients and servers; those that are missing are skipped.
interop: interop/node_modules
	cd interop && go vet ./... && go test -count=1 ./...

interop/node_modules: interop/package-lock.json
	cd interop && npm ci --no-audit --no-fund
	touch $@

# A few seconds of the benchmarks, to see that they run.
bench:
	cd bench && go run . -quick

# CPU and allocation profiles of the bench's server under load; SERVER and
# WORKLOAD choose others.
profile:
	$(MAKE) -C bench profile

# Every fuzz target for FUZZTIME. Their seeds are a part of test.
fuzz:
	git grep -lE '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | while read -r d; do \
		for f in $$(cd $$d && go test -list '^Fuzz' . | grep '^Fuzz'); do \
			(cd $$d && go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) .) || exit 1; \
		done; \
	done

# How much of each package the tests of all packages execute, and where that is
# less than it should be. (Of the examples, nobody calls main, and test kits have
# nothing to complain of.)
cover:
	rm -rf .cache/cover && mkdir -p .cache/cover
	go test -count=1 -cover -coverpkg=./... ./... -args -test.gocoverdir=$(CURDIR)/.cache/cover
	go tool covdata percent -i=.cache/cover | sort | awk '{ \
		goal = $$1 ~ "/(conn|internal/wire)$$" ? 95 : $$1 ~ "/(examples/|(codec|broker|leak)test|internal/(attack|soak)$$)" ? 0 : 85; \
		printf "%6.1f %%  %s%s\n", $$3, $$1, $$3 + 0 < goal ? "  (below " goal " %)" : "" }'

# Needs the Internet, which CI has not.
vuln:
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...
