# Sourced by the other scripts: where things are, and how to speak.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
case $TARGET in
    /*) ;;
    *) TARGET=$ROOT/$TARGET ;;
esac

note() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "not root and no sudo. Run as root: $*"
    fi
}

# python_venv DIRECTORY PACKAGE...: a Python environment with these packages, pinned. What is there
# already is not installed again.
python_venv() {
    local directory=$1
    shift
    [ "$(cat "$directory/packages" 2>/dev/null)" != "$*" ] || return 0
    note "installing into $directory: $*"
    rm -rf "$directory"
    python3 -m venv "$directory" >&2 &&
        "$directory/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 &&
        printf '%s\n' "$*" >"$directory/packages"
}
