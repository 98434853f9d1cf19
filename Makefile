# Dormouse. `make demo` runs it on a simulated board, `make test` tests it.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
common   = github.com/prometheus/common/version
LDFLAGS  = -s -w -X $(common).Version=$(VERSION) -X $(common).Revision=$(COMMIT)
# What only releases have: cmd/dormouse/runtime_release.go and docs/cost.md.
RELEASE  = -tags release -trimpath -ldflags '$(LDFLAGS) -checklinkname=0'
# For the tests' own use: make test TESTFLAGS=-v
TESTFLAGS ?=

export CGO_ENABLED ?= 0
# What is compiled doesn't depend on where the source lies: copies of it share the build cache.
export GOFLAGS += -trimpath

.PHONY: help
help: ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## the whole daemon on a simulated board; ^C ends it
	go run ./cmd/dormouse demo

.PHONY: test
test: ## formatting, vet and all tests that need neither root nor a network
	@unformatted=$$(gofmt -l cmd daemon sensors exporter examples test); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet -tags system ./...
	go test -vet=off $(TESTFLAGS) ./...

.PHONY: lint
lint: ## staticcheck, and vet for the Pi Zero
	go tool staticcheck -tags system ./...
	GOARCH=arm GOARM=6 go vet ./...

.PHONY: race
race: ## the tests under the race detector (needs gcc); but for test/howto, which only runs other programs
	DORMOUSE_FAULTS_THIN=8 CGO_ENABLED=1 go test -race -vet=off $(TESTFLAGS) $$(go list ./... | grep -v /test/howto$$)

# The race detector links with libc.
.PHONY: compiler
compiler:
	@command -v gcc >/dev/null && test -e /usr/include/stdlib.h || \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends gcc libc6-dev </dev/null; }

# Packages whose tests measure times or load run one after the other; of the others, two at a time, those first that take longest.
# make test runs those without the tag. Their targets are apart, so that make -k runs all of them.
tagged = $(shell grep -rl --include='*_test.go' '^//go:build system' daemon test | xargs -n1 dirname | sort -u)
alone  = test/flood test/gpio test/lines test/sleep
first  = test/system test/pi test/inits test/arm
paired = $(first) $(filter-out $(first) $(alone),$(tagged))
# TestInstructions is part of make bench.
nobench = -skip '^TestInstructions$$'
system = go test -tags system -count=1 -timeout 30m $(TESTFLAGS)

.PHONY: test-system system-paired system-alone
test-system: compiler lint race system-paired system-alone ## as root on Debian: a real kernel, Prometheus, 32-bit ARM; installs what it needs
system-paired: compiler
	$(system) -p 2 $(nobench) $(addprefix ./,$(paired))
system-alone: compiler
	$(system) -p 1 -parallel 3 $(addprefix ./,$(alone))

.PHONY: test-pi
test-pi: compiler ## as root on Debian: emulated Raspberry Pis, a Zero, a 2B and a 3B; fetches 600 MB once
	$(system) $(nobench) ./test/pi

.PHONY: soak
soak: ## as root: the tests that take their time, at full length (the daemon stopped for a minute; 500 contents of each chip; floods against peers)
	DORMOUSE_SOAK=1 go test -tags system -count=1 $(TESTFLAGS) -run StoppedAndContinued ./test/inits
	DORMOUSE_SOAK=1 go test -tags system -count=1 -timeout 2h $(TESTFLAGS) -run 'The(Newer)?KernelsDevices' -v ./test/system
	DORMOUSE_SOAK=1 go test -tags system -count=1 $(TESTFLAGS) -v ./test/flood

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	@set -e; for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),30s) -fuzzminimizetime 20x $$pkg; \
	  done; done

.PHONY: bench
bench: ## what sleeping, a wake and a scrape cost, beside a C floor and installed peers; instructions on an emulated Pi Zero: as root, 11 minutes (DORMOUSE_BENCH=long: 90)
	go test -run '^$$' -bench 'Wake10|Scrape' -benchtime 200ms -benchmem ./sensors/poll ./exporter
	go test -run '^$$' -bench '^BenchmarkTable$$' -benchtime 2s ./sensors/chips
	go test -count=1 -v -run '^TestAwakeForTenChips$$' ./sensors/all
	go run ./test/bench
	go test -tags system -count=1 -timeout 20m -v -run TestInstructions ./test/pi

DIST ?= dist
releases = $(addprefix $(DIST)/dormouse-linux-,armv6 armv7 arm64 amd64)

.PHONY: build $(releases)
build: $(releases) ## static release binaries in dist/

$(DIST)/dormouse-linux-armv6: export GOARCH=arm
$(DIST)/dormouse-linux-armv6: export GOARM=6
$(DIST)/dormouse-linux-armv7: export GOARCH=arm
$(DIST)/dormouse-linux-armv7: export GOARM=7
$(DIST)/dormouse-linux-arm64: export GOARCH=arm64
$(DIST)/dormouse-linux-amd64: export GOARCH=amd64
# A static pattern rule: make looks for no implicit one for a phony target.
$(releases): $(DIST)/dormouse-linux-%:
	CGO_ENABLED=0 GOOS=linux go build $(RELEASE) -o $@ ./cmd/dormouse

.PHONY: executable
executable: ## a release binary for this machine: make executable OUT=/usr/local/bin/dormouse
	@go build $(RELEASE) -o $(or $(OUT),dist/dormouse) $(or $(PKG),./cmd/dormouse)

# A package and a tarball are made of the last commit's files at its time, so that two builds give the same bytes.
export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
DEB_VERSION ?= $(shell packaging/version 2>/dev/null || echo 0~unknown)
nfpm = go tool -modfile=packaging/tools.mod nfpm

.PHONY: generate
generate: ## docs/sensors.md, from the drivers' tables and from what faults do to them
	go test $(TESTFLAGS) ./sensors/all -run '^TestFaults$$' -update

.PHONY: generated
generated: ## man pages, completions, copyright and changelog of the packages, in dist/generated
	packaging/generate '$(DEB_VERSION)'

packages = $(foreach arch,armhf arm64 amd64,dist/dormouse_$(arch).deb)

.PHONY: packages $(packages)
packages: $(packages) ## Debian packages in dist/: armhf (ARMv6: all Pis), arm64, amd64
dist/dormouse_armhf.deb: dist/dormouse-linux-armv6
dist/dormouse_arm64.deb: dist/dormouse-linux-arm64
dist/dormouse_amd64.deb: dist/dormouse-linux-amd64
$(packages): dist/dormouse_%.deb: generated
	DEB_ARCH=$* DEB_VERSION='$(DEB_VERSION)' DEB_BINARY=$(filter-out generated,$^) $(nfpm) package --packager deb --config packaging/nfpm.yaml --target $@

tarballs = $(addprefix dist/dormouse-$(DEB_VERSION)-linux-,$(addsuffix .tar.gz,armv6 armv7 arm64 amd64))

.PHONY: release $(tarballs)
release: $(packages) $(tarballs) ## what a release publishes: packages, tarballs, dist/SHA256SUMS
	cd dist && sha256sum $(notdir $^) > SHA256SUMS
$(tarballs): dist/dormouse-$(DEB_VERSION)-linux-%.tar.gz: dist/dormouse-linux-% generated
	packaging/tarball $< $@

.PHONY: rename
rename: ## give the module its public home: make rename MODULE=example.com/you/dormouse
	@test -n "$(MODULE)" || { echo 'say where to: make rename MODULE=host/path'; exit 2; }
	old=$$(go list -m); git ls-files '*.go' go.mod Makefile '*.md' | xargs sed -i "s#$$old\b#$(MODULE)#g"

.PHONY: clean
clean:
	rm -rf $(DIST)
