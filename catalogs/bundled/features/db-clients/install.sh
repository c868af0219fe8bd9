#!/bin/sh
# Installs the database clients that the options ask for.
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

packages=""
[ "${POSTGRES:-true}" != true ] || packages="$packages postgresql-client"
[ "${MYSQL:-false}" != true ] || packages="$packages mariadb-client"
[ "${REDIS:-false}" != true ] || packages="$packages redis-tools"
[ "${SQLITE:-true}" != true ] || packages="$packages sqlite3"
if [ -z "$packages" ]; then
    echo "No database client is wanted: nothing to do."
    exit 0
fi
# shellcheck disable=SC2086  # a list of names, split on purpose
apt_install $packages

echo "Database clients are installed:$packages"
