# Sourced after common.sh by the tests that build the module for another nginx.

# variants_target [NAME] : prepares TARGET/variants (or NAME), a second cargo target directory for builds
# against another nginx: a copy of what the profile dev has built so far, so that Wasmtime is not compiled again, apart from
# the first, so that the two do not undo each other's work.
variants_target() {
    local variants=$TARGET/${1:-variants}
    if [ ! -d "$variants/debug" ]; then
        note "copying the built dependencies to $variants"
        rm -rf "$variants.new"
        mkdir -p "$variants.new/debug"
        # Without the test programs, which are most of it. posix: with the full time stamps, by
        # which cargo tells what is out of date.
        (cd "$TARGET/debug" && find .fingerprint build deps -type f \
            \( -path 'build/*' -o -name '*.so' -o ! -perm -u+x \) -print0 |
            tar -c --format=posix --null -T -) | tar -x -C "$variants.new/debug"
        mv "$variants.new" "$variants"
    fi
    printf '%s\n' "$variants"
}

# try_module NGINX MODULE FILTERS WORK : runs NGINX with MODULE below WORK and asks it for one
# answer of the fault-injection filter.
try_module() {
    local nginx=$1 module=$2 filters=$3 work=$4 port=${SMOKE_PORT:-19790} answer pid i
    [ -f "$filters/fault_injection.wasm" ] || die "no $filters/fault_injection.wasm: run 'make filters'"
    rm -rf "$work"
    mkdir -p "$work/logs"
    cat >"$work/nginx.conf" <<CONF
load_module $module;
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
    wasm_module fault $filters/fault_injection.wasm;
    server {
        listen 127.0.0.1:$port;
        location / {
            wasm_filter fault '{"body":"fault injected","http_status":503}';
            return 200 "not filtered";
        }
    }
}
CONF
    "$nginx" -p "$work/" -c "$work/nginx.conf" &
    pid=$!
    answer=
    for ((i = 0; i < 100; i++)); do
        answer=$(curl -s --max-time 10 -w ' %{http_code}' "http://127.0.0.1:$port/") && break
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
# in SOURCE. FLAGS is quoted for the shell.
configure_module() {
    local src=$1 build=$2 flags=$3 configure=./configure key
    [ -x "$src/configure" ] || configure=auto/configure
    key="$ROOT $src $flags $(cat "$ROOT"/config "$ROOT"/config.make "$ROOT"/auto/* | sha256sum)"
    export CARGO_TARGET_DIR NGX_CARGO_PROFILE=dev
    CARGO_TARGET_DIR=$(variants_target)
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
