# Sourced by the scripts beside it: progress lines, and installing Debian packages.
# shellcheck shell=bash

say() { printf '%s %s\n' "${STEP_NAME:-setup}:" "$*" >&2; }

fail() {
    printf '%s\n' "${STEP_NAME:-setup}: $1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Packages are there afterwards, or the script ends and says what to run.
apt_install() {
    command -v apt-get >/dev/null || fail "this machine has no apt-get; please install: $*"
    is_root || fail "not root, so please run this and then make again:" \
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    local log
    log=$(mktemp)
    say "installing $*"
    # The lists may be absent (a container) or old (a package moved on): refresh once, on demand.
    if ! apt_quiet "$log" install "$@"; then
        if ! { apt-get -q update && apt_quiet "$log" install "$@"; } >>"$log" 2>&1; then
            tail -n 20 "$log" >&2
            fail "apt-get could not install: $*" "The whole output is in $log"
        fi
    fi
    rm -f "$log"
}

apt_quiet() {
    local log=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$1" -y \
        --no-install-recommends "${@:2}" >>"$log" 2>&1
}
