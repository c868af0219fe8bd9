#!/bin/sh
# Installs compilers and make, on request CMake and Ninja.
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

packages="build-essential pkg-config"
if [ "${CMAKE:-false}" = true ]; then
    packages="$packages cmake ninja-build"
fi
# shellcheck disable=SC2086  # a list of names, split on purpose
apt_install $packages

echo "Build tools are installed: $(gcc --version | head -n 1)"
