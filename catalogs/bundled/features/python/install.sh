#!/bin/sh
# Installs the distribution's Python 3 with pip and venv, on request pipx.
# Run as root by the builder; options come as environment variables.
set -eu

apt_install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This feature needs a Debian or Ubuntu image." >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
        apt-get update
    fi
    apt-get install -y --no-install-recommends "$@"
    apt-get clean
    rm -rf /var/lib/apt/lists/*
}

packages="python3 python3-pip python3-venv"
if [ "${PIPX:-false}" = true ]; then
    packages="$packages pipx"
fi
# shellcheck disable=SC2086  # a list of names, split on purpose
apt_install ca-certificates $packages
# Debian names it python3 only; scripts and agents type python.
[ -e /usr/bin/python ] || ln -s python3 /usr/bin/python

echo "Python is installed: $(python3 --version)"
