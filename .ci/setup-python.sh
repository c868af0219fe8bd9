#!/usr/bin/env bash
# .venv has exactly requirements.lock and the project itself (editable) afterwards.
# A stamp with the hash of what went in makes the second run free.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/steps.sh

good='import sys; sys.exit(sys.version_info < (3, 11))'
stamp=.venv/.crewship-stamp
# The path is in it, because a moved .venv has broken scripts.
want=$({ pwd; cat requirements.lock pyproject.toml .ci/uv.lock; } | sha256sum)

if [ "$(cat $stamp 2>/dev/null)" = "$want" ] && .venv/bin/python -c "$good" 2>/dev/null \
    && [ -x .venv/bin/crewship ]; then
    exit 0
fi

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && "$name" -c "$good" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; python3 is $(python3 --version 2>&1 || true)"
}

make_venv() {
    local python version
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        apt_install "python$version-venv"
    fi
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
}

# pip's index and certificate settings hold for uv too, which reads none of pip's files.
adopt_pip_settings() {
    local settings index cert
    settings=$(.venv/bin/python -m pip config list 2>/dev/null || true)
    index=$(sed -nE "s/^(:env:|global|install)\.index-url='(.*)'$/\2/p" <<<"$settings" | head -n 1)
    cert=$(sed -nE "s/^(:env:|global|install)\.cert='(.*)'$/\2/p" <<<"$settings" | head -n 1)
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
    if [ -n "$cert" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$cert}"; fi
    return 0
}

pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
uv() { .venv/bin/uv --quiet --no-progress "$@" --python .venv/bin/python; }

# The project comes last: `uv pip sync` removes whatever the lock does not list.
install_with_uv() {
    pip install --require-hashes --no-deps -r .ci/uv.lock || return 1
    adopt_pip_settings
    uv pip sync --require-hashes requirements.lock && uv pip install --no-deps --editable .
}

install_with_pip() {
    pip install --require-hashes -r requirements.lock && pip install --no-deps --editable .
}

if ! .venv/bin/python -c "$good" 2>/dev/null || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_venv
fi
rm -f $stamp
say "installing the locked Python packages"
log=$(mktemp)
if ! install_with_uv 2>"$log"; then
    say "uv did not manage, going on with pip"
    if ! install_with_pip 2>>"$log"; then
        tail -n 30 "$log" >&2
        fail "the Python packages could not be installed" "The whole output is in $log"
    fi
fi
rm -f "$log"
[ -x .venv/bin/crewship ] || fail "the project did not install its command .venv/bin/crewship"
echo "$want" >$stamp
