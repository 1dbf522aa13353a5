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

# suite_apt WORK SUITE TYPES : sets suite_apt to an apt-get for another suite of Debian's than the machine's, with lists in
# WORK, so that apt's configuration stays as it is. Where to download from is read from apt's own sources. TYPES: deb, deb-src.
suite_apt() {
    local work=$1 suite=$2 types=$3 keyring=/usr/share/keyrings/debian-archive-keyring.gpg uri
    uri=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | sed -n 1p)
    [ -n "$uri" ] || return 1

    [ -f "$keyring" ] || keyring=
    rm -rf "$work"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    printf '%s\n' "Types: $types" "URIs: $uri" "Suites: $suite" 'Components: main' \
        ${keyring:+"Signed-By: $keyring"} >"$work/$suite.sources"
    # The last two: neither descriptions nor icons, and as the user who owns the directory.
    suite_apt=(apt-get -q
        -o "Dir::Etc::SourceList=$work/$suite.sources" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -o APT::Sandbox::User="$(id -un)")
    "${suite_apt[@]}" update >&2
}
