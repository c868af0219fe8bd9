#!/bin/sh
# Installs the tools that agents reach for first.
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

more=$(echo "${PACKAGES:-}" | tr ',' ' ')
# shellcheck disable=SC2086  # a list of names, split on purpose
apt_install ca-certificates curl git jq less procps ripgrep unzip xz-utils $more

echo "Base tools are installed: $(git --version), $(jq --version)"
