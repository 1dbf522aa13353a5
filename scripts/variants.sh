# Sourced after common.sh by the tests that build the module for another nginx.

# variants_target [NAME [FLAVOUR]] : prepares TARGET/variants (or NAME), a second cargo target directory for builds
# against another nginx: a copy of what the profile dev (or release) has built so far, so that Wasmtime is not compiled again, apart from
# the first, so that the two do not undo each other's work.
variants_target() {
    local variants=$TARGET/${1:-variants} flavour=${2:-debug} new
    new=$variants/$flavour.new
    if [ ! -d "$variants/$flavour" ]; then
        note "copying the built dependencies to $variants/$flavour"
        rm -rf "$new"
        mkdir -p "$new"
        # Without the test programs, which are most of it. posix: with the full time stamps, by
        # which cargo tells what is out of date.
        (cd "$TARGET/$flavour" && find .fingerprint build deps -type f \
            \( -path 'build/*' -o -name '*.so' -o ! -perm -u+x \) -print0 |
            tar -c --format=posix --null -T -) | tar -x -C "$new"
        mv "$new" "$variants/$flavour"
    fi
    printf '%s\n' "$variants"
}

# debian_unpack DIRECTORY PACKAGE... : fetches Debian's packages and unpacks them in DIRECTORY/root,
# where nothing of them is installed. DIRECTORY/.unpacked has a line for each, name and version.
debian_unpack() {
    local directory=$1 package version found
    shift
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        die "this needs apt-get and dpkg-deb to fetch Debian's packages"
    found=$(debian_versions "$@")
    if grep -q ' (none)$\| $' <<<"$found"; then
        as_root apt-get update -q >&2
        found=$(debian_versions "$@")
    fi
    [ "$(cat "$directory/.unpacked" 2>/dev/null)" != "$found" ] || return 0
    note "fetching from Debian: $*"
    rm -rf "$directory"
    mkdir -p "$directory/packages"
    while read -r package version; do
        (cd "$directory/packages" &&
            apt-get download -q -o APT::Sandbox::User="$(id -un)" "$package=$version") >&2
    done <<<"$found"
    for package in "$directory"/packages/*.deb; do
        dpkg-deb -x "$package" "$directory/root"
    done
    printf '%s\n' "$found" >"$directory/.unpacked"
}

# debian_versions PACKAGE... : each with the version that apt would take.
debian_versions() {
    local package
    for package; do
        printf '%s %s\n' "$package" "$(apt-cache policy "$package" | sed -n 's/^ *Candidate: //p')"
    done
}

# debian_module DIRECTORY BUILD : builds BUILD/ngx_http_wasm_module.so for the nginx of the packages nginx and
# nginx-dev unpacked in DIRECTORY, with that one's own flags.
debian_module() {
    local src=$1/root/usr/share/nginx/src
    configure_module "$src" "$2" "$(. "$src/conf_flags" && printf '%q ' "${NGX_CONF_FLAGS[@]}")"
}

# try_module NGINX MODULE FILTERS WORK [LUA] : runs NGINX with MODULE below WORK and asks it for one
# answer of the fault-injection filter. With LUA, the root of Debian's packages unpacked, it is Lua's code that runs the filter.
try_module() {
    local nginx=$1 module=$2 filters=$3 work=$4 lua=${5:-} port=${SMOKE_PORT:-19790} answer pid end=$((SECONDS + 180))
    local load="load_module $module;" http="wasm_module fault $filters/fault_injection.wasm;"
    local run="wasm_filter fault '{\"body\":\"fault injected\",\"http_status\":503}';"
    if [ -n "$lua" ]; then
        load="load_module $lua/usr/lib/nginx/modules/ndk_http_module.so;
            load_module $lua/usr/lib/nginx/modules/ngx_http_lua_module.so; $load"
        http="lua_package_path '$ROOT/lua/?.lua;$lua/usr/share/lua/5.1/?.lua;;';
            init_by_lua_block {
                wasm = require('resty.proxy-wasm')
                local plugin = assert(wasm.load('fault', '$filters/fault_injection.wasm'))
                fault = assert(wasm.on_configure(plugin, '{\"body\":\"fault injected\",\"http_status\":503}'))
            }"
        run="access_by_lua_block { assert(wasm.on_http_request_headers(fault)) } empty_gif;"
    fi
    [ -f "$filters/fault_injection.wasm" ] || die "no $filters/fault_injection.wasm: run 'make filters'"
    rm -rf "$work"
    mkdir -p "$work/logs"
    cat >"$work/nginx.conf" <<CONF
$load
$([ "$(id -u)" != 0 ] || echo 'user root;')
daemon off;
pid $work/nginx.pid;
error_log $work/logs/error.log info;
events {}
http {
    access_log off;
    client_body_temp_path $work/client_body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    $http
    server {
        listen 127.0.0.1:$port;
        location / {
            $run
            $([ -n "$lua" ] || echo 'return 200 "not filtered";')
        }
    }
}
CONF
    "$nginx" -p "$work/" -c "$work/nginx.conf" &
    pid=$!
    answer=
    while [ $SECONDS -lt $end ]; do
        answer=$(curl -s --max-time 60 -w ' %{http_code}' "http://127.0.0.1:$port/") && break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    kill -QUIT "$pid" 2>/dev/null || true
    wait "$pid" || true
    if [ "$answer" != "fault injected 503" ]; then
        tail -n 20 "$work/logs/error.log" >&2 || true
        die "$nginx with $module answered '$answer', expected 'fault injected 503'"
    fi
}

# configure_module SOURCE BUILD FLAGS : builds BUILD/ngx_http_wasm_module.so with nginx's configure
# in SOURCE, and with cargo's profile NGX_CARGO_PROFILE, by default dev. FLAGS is quoted for the shell.
configure_module() {
    local src=$1 build=$2 flags=$3 configure=./configure key flavour=debug
    [ -x "$src/configure" ] || configure=auto/configure
    export CARGO_TARGET_DIR NGX_CARGO_PROFILE=${NGX_CARGO_PROFILE:-dev}
    [ "$NGX_CARGO_PROFILE" = dev ] || flavour=$NGX_CARGO_PROFILE
    key="$ROOT $src $NGX_CARGO_PROFILE $flags $(cat "$ROOT"/config "$ROOT"/config.make "$ROOT"/auto/* | sha256sum)"
    CARGO_TARGET_DIR=$(variants_target variants "$flavour")
    if [ "$(cat "$build/.configured" 2>/dev/null)" != "$key" ]; then
        note "configuring $src with --add-dynamic-module"
        rm -rf "$build"
        mkdir -p "$build"
        (cd "$src" && eval "$configure $flags" --builddir='"$build"' --add-dynamic-module='"$ROOT"') \
            >"$build/configure.log" 2>&1 || {
            tail -n 5 "$build/configure.log" >&2
            die "configure failed; all of it is in $build/configure.log"
        }
        printf '%s\n' "$key" >"$build/.configured"
    fi
    make -C "$src" -f "$build/Makefile" modules
}
