# Every target does all of its own set-up; nothing is built, downloaded or installed twice.
#
#   make run [CONF=calls]    nginx in the foreground on 127.0.0.1:8080, with nginx-conf/nginx.conf, or
#                            another of nginx-conf/
#   make test                all tests: cargo test, then Test::Nginx over t/
#   make conformance         the same guests and requests on Envoy and on this nginx, compared
#   make plugins [CASES=…] [RECORD=yes]
#                            the sample plugins on the hosts of Extism and waPC, against what is on record, and on this
#                            nginx, against that as well; or records it
#   make components [CASES=…]
#                            the same requests to components on Wasmtime's own server and on this nginx, compared
#   make wild [CASES=…] [DOCUMENT=yes]
#                            public filters, as package registries serve them, tried in this nginx; or their table
#                            in docs/compatibility.md as well
#   make soak [TIME=600]     so many seconds of mixed traffic, reloads and kills, and what must hold then
#   make bench [ONLY=W0,W2] [CONTENDERS=nginx,module] [ROUNDS=12] [TIME=1]
#                            CPU time and throughput of one worker with filters, beside Lua and Envoy, and of plugins (ONLY=H),
#                            beside servers in Go: a table,
#                            and of everything bench/results/ and docs/performance.md; TIME is of one case in one round
#   make bench BASE=rev      this module beside that of another revision
#   make bench-instructions [RECORD=yes]
#                            instructions of a filter per request, which must not grow by more than 3 %; or records them
#   make install PREFIX=dir  a tree that runs on its own
#   make lint                formatting, clippy, and what docs/ says against the source
#   make audit [ADVISORIES=dir]
#                            licences, sources, yanked releases and advisories of all Rust packages; dir is a
#                            checkout of RustSec's advisory-db where that cannot be fetched
#   make fuzz [TIME=60|fixed] [FUZZ=map]
#                            each fuzz target (or some) for so many seconds; or with the same inputs in every run
#   make asan [FILES=t/…]    t/ with nginx and the module under AddressSanitizer
#   make filters             the sample guests, target/filters/*.wasm
#   make nginx, make module  the nginx to run in, and the module alone
#   make lua-module          Lua's module for that nginx, which tests need
#   make smoke-debian        the module in Debian's own nginx, built by nginx's ./configure
#   make configure-test      the module in the pinned nginx, built by nginx's ./configure
#   make clean
#
# BUILD=debug (run, test) is quick to build, with nginx --with-debug; BUILD=release (install) is
# optimised. Another nginx than the pinned one: NGINX_SOURCE_DIR and NGINX_BUILD_DIR, configured
# and built.

SHELL := bash
BUILD ?= debug
CONF ?= nginx
TARGET := $(if $(CARGO_TARGET_DIR),$(abspath $(CARGO_TARGET_DIR)),$(CURDIR)/target)

ifeq ($(BUILD),debug)
PROFILE := dev
else ifeq ($(BUILD),release)
PROFILE := release
else
$(error BUILD is debug or release, not "$(BUILD)")
endif

MODULE := $(TARGET)/modules/$(BUILD)/ngx_http_wasm_module.so
FILTERS := $(CURDIR)/target/filters

ifneq ($(NGINX_SOURCE_DIR)$(NGINX_BUILD_DIR),)
# As nginx-sys completes them.
NGINX_SOURCE_DIR ?= $(abspath $(NGINX_BUILD_DIR)/..)
NGINX_BUILD_DIR ?= $(NGINX_SOURCE_DIR)/objs
else
NGINX_SOURCE_DIR := $(TARGET)/nginx/src
NGINX_BUILD_DIR := $(TARGET)/nginx/$(BUILD)
PINNED := yes
endif
export NGINX_SOURCE_DIR NGINX_BUILD_DIR

.PHONY: all run test conformance plugins components wild soak bench bench-instructions audit fuzz install lint filters lua-module nginx module smoke-debian configure-test clean
.PHONY: setup-build setup-lint setup-test setup-conformance setup-plugins setup-components setup-wild setup-bench setup-bench-plugins setup-bench-components setup-instructions samples
.DEFAULT_GOAL := all

all: module

setup-build:
	@scripts/setup build

setup-lint:
	@scripts/setup lint

setup-test:
	@scripts/setup test

setup-conformance:
	@scripts/setup conformance

setup-plugins:
	@scripts/setup plugins

setup-components:
	@scripts/setup components

setup-wild:
	@scripts/setup wild

setup-bench:
	@scripts/setup bench

setup-bench-plugins:
	@scripts/setup bench_plugins

setup-bench-components:
	@scripts/setup bench_components

setup-instructions:
	@scripts/setup instructions

nginx: setup-build
ifeq ($(PINNED),yes)
	@scripts/nginx $(BUILD)
endif
	@[ -x "$(NGINX_BUILD_DIR)/nginx" ] || { \
		echo "error: no nginx in $(NGINX_BUILD_DIR): run make there" >&2; exit 1; }

module: nginx
	@scripts/module $(PROFILE) "$(MODULE)"

filters: setup-build
	@scripts/filters

# Lua's module, for the tests of its interface.
lua-module: nginx
	@scripts/lua-module

# The guests of one configuration alone, with the toolchains that they need.
samples: setup-build
	@[ -f "nginx-conf/$(CONF).conf" ] || { echo "error: no nginx-conf/$(CONF).conf" >&2; exit 1; }
	@scripts/filters $$(sed -n 's|^[^\#]*[[:space:]]filters/\([^;[:space:]]*\)\.wasm.*|\1|p' nginx-conf/$(CONF).conf) \
		$$(cat nginx-conf/$(CONF)/*/spin.toml 2>/dev/null | sed -n 's|^source = "\.\./filters/\(.*\)\.wasm"|\1|p')

run: module samples
	@scripts/run "$(NGINX_BUILD_DIR)/nginx" "$(MODULE)" "$(FILTERS)" \
		"$(NGINX_SOURCE_DIR)/conf/mime.types" "$(CONF)"

test: module filters lua-module setup-test
	cargo test --workspace --locked --no-fail-fast --profile $(PROFILE)
	"$(TARGET)/python/bin/python" -B -m unittest discover -q -s bench
	WASM_MODULE="$(MODULE)" WASM_FILTERS="$(FILTERS)" scripts/prove

# CASES: names, or beginnings of names, of the cases to run; all by default.
conformance: module filters setup-conformance
	@python3 conformance --envoy "$(TARGET)/envoy/bin/envoy" --python "$(TARGET)/python/bin/python" \
		--nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" --filters "$(FILTERS)" \
		--work "$(TARGET)/conformance" $(CASES)

# CASES: as above.
plugins: module filters setup-plugins
	@"$(TARGET)/extism/bin/python" -B conformance/plugins --filters "$(FILTERS)" --node-modules "$(TARGET)/wapc-host/node_modules" \
		--nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" --work "$(TARGET)/plugins" \
		$(if $(RECORD),--record) $(CASES)

# CASES: as above.
components: module filters setup-components
	@python3 -B conformance/components --wasmtime "$(TARGET)/wasmtime/serve" --filters "$(FILTERS)" \
		--nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" --work "$(TARGET)/components" $(CASES)

# CASES: names, or beginnings of names, of the filters to try; all by default.
wild: module setup-wild
	@"$(TARGET)/python/bin/python" -B wild --nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" \
		--go "$$([ -x "$(TARGET)/go/bin/go" ] && echo "$(TARGET)/go/bin/go" || echo go)" \
		--work "$(TARGET)/wild" $(if $(DOCUMENT),--document docs/compatibility.md) $(CASES)

# SEED: for the same traffic again. KINDS=a,b: of soak/kinds.py, only these.
TIME ?= 600
soak: module filters setup-test
	@"$(TARGET)/python/bin/python" -B soak --nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" \
		--filters "$(FILTERS)" --work "$(TARGET)/soak" --time "$(TIME)" \
		$(if $(SEED),--seed "$(SEED)") $(if $(KINDS),--kinds "$(KINDS)")

# As is what is measured.
ifeq ($(BUILD),release)
# With ONLY=H… and C…, servers around plugins and components: neither Lua nor Envoy is needed.
comma := ,
guests_only := $(if $(ONLY),$(if $(filter-out C% H%,$(subst $(comma), ,$(ONLY))),,yes))
# Whether some are servers around plugins, and some components.
plugins := $(if $(ONLY),$(filter H%,$(subst $(comma), ,$(ONLY))),yes)
served := $(if $(ONLY),$(filter C%,$(subst $(comma), ,$(ONLY))),yes)

bench: module filters $(if $(guests_only),,setup-bench) $(if $(plugins),setup-bench-plugins) $(if $(served),setup-bench-components)
	@$(if $(BASE),scripts/bench-base "$(BASE)",$(if $(guests_only),,scripts/bench-debian))
	@$(if $(BASE),,$(if $(plugins),scripts/bench-peer))
	@$(if $(guests_only),python3,"$(TARGET)/bench-python/bin/python") -B bench --nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" \
		--filters "$(FILTERS)" --work "$(TARGET)/bench" \
		$(if $(BASE),--base "$(TARGET)/bench-base/ngx_http_wasm_module.so",--peer "$(TARGET)/bench-peer/peer" \
			--wasmtime "$(TARGET)/wasmtime/serve" --javascript "$(TARGET)/bench-js/hello.wasm" \
			$(if $(guests_only),,--envoy "$(TARGET)/envoy/bin/envoy" \
			--debian "$(TARGET)/debian-bench/root" --debian-module "$(TARGET)/debian-bench/objs/ngx_http_wasm_module.so")) \
		$(if $(ONLY),--only "$(ONLY)") $(if $(CONTENDERS),--contenders "$(CONTENDERS)") \
		$(if $(ROUNDS),--rounds "$(ROUNDS)") $(if $(filter file,$(origin TIME)),,--time "$(TIME)")

bench-instructions: module setup-instructions
	@scripts/filters bench_bare bench_call bench_headers bench_http_wasm bench_noop fault_injection
	@python3 -B bench/instructions.py --nginx "$(NGINX_BUILD_DIR)/nginx" --module "$(MODULE)" \
		--filters "$(FILTERS)" --work "$(TARGET)/bench-instructions" $(if $(RECORD),--record)
else
bench bench-instructions:
	@$(if $(PINNED),env -u NGINX_SOURCE_DIR -u NGINX_BUILD_DIR) $(MAKE) --no-print-directory $@ BUILD=release
endif

# The tree for the user is the optimised one, so everything starts over with BUILD=release.
install:
ifeq ($(BUILD),release)
install: module samples
	@scripts/install "$(PREFIX)" "$(MODULE)" "$(FILTERS)"
else
	@[ -n "$(PREFIX)" ] || { echo "error: usage: make install PREFIX=dir" >&2; exit 1; }
	@$(if $(PINNED),env -u NGINX_SOURCE_DIR -u NGINX_BUILD_DIR) \
		$(MAKE) --no-print-directory install BUILD=release PREFIX="$(PREFIX)"
endif

lint: nginx setup-lint
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	@ls "$$(rustc --print target-libdir --target wasm32-wasip1)"/libstd-* >/dev/null 2>&1 || \
		rustup target add wasm32-wasip1
	scripts/check-abi
	scripts/check-functions
	scripts/check-docs
	scripts/check-rooms
	git ls-files -z "*.py" $$(grep -ls "^#!.*python" scripts/*) | xargs -0 "$(TARGET)/lint-python/bin/python" -m pyflakes
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo fmt --manifest-path filters/Cargo.toml --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --manifest-path filters/Cargo.toml --workspace --locked --target wasm32-wasip1 \
		--release --target-dir "$(TARGET)/filters-build" -- -D warnings

audit:
	@ADVISORIES="$(ADVISORIES)" scripts/audit Cargo.toml fuzz/Cargo.toml filters/Cargo.toml scripts/nginx-src/Cargo.toml

# Its own nginx and its own build of the module, from the dependencies of the other one.
asan: module filters lua-module setup-test
	@env -u NGINX_SOURCE_DIR -u NGINX_BUILD_DIR WASM_FILTERS="$(FILTERS)" scripts/asan $(FILES)

# TIME has another default above.
fuzz: setup-build
	@scripts/fuzz $(if $(filter file,$(origin TIME)),60,$(TIME)) $(FUZZ)

smoke-debian: module samples
	@scripts/smoke-debian "$(FILTERS)"

configure-test: module samples
	@scripts/configure-test "$(FILTERS)"

clean:
	rm -rf "$(TARGET)"
