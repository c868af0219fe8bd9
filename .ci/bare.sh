#!/usr/bin/env bash
# Runs a command in a bare Debian 12 root, as on a machine that has only git, make and python3 (3.11.2):
#   bare.sh PROJECT_DIR 'make demo ONCE=1'
# A copy of PROJECT_DIR's HEAD lies in /srv/project there. The root has its own /run, processes and mounts (so its own
# Docker engine, on its own bridge br-bare); the network and the package registries are this machine's.
# What the command started is killed at the end, and the bridge and its firewall rules go away.
# Needs root, mmdebstrap, iproute2. BARE_ROOT names the folder (default: a new temporary one, removed at the end).
set -euo pipefail
project=$(cd "$1" && pwd)
shift
root=${BARE_ROOT:-$(mktemp -d)}
base=${TMPDIR:-/tmp}/bare-bookworm.tar
bridge=br-bare
address=172.30.0.1/24
made_bridge=

cleanup() {
    # Processes end with their pid namespace, and mounts with their mount namespace.
    if [ -n "$made_bridge" ]; then
        ip link del "$bridge" 2>/dev/null || true
        drop_rules nat
        drop_rules filter
    fi
    [ -n "${BARE_ROOT:-}" ] || rm -rf --one-file-system "$root"
}

# The network is shared with this machine, so the engine's rules for the bridge outlive it.
drop_rules() {
    command -v iptables >/dev/null || return 0
    local rule
    { iptables -t "$1" -S 2>/dev/null || true; } | { grep -E -- "$bridge|172\.30\.0\." || true; } | sed 's/^-A/-D/' \
        | while read -r rule; do
            # shellcheck disable=SC2086 # a list of words is meant
            iptables -t "$1" $rule 2>/dev/null || true
        done
}
trap cleanup EXIT

if ! [ -s "$base" ]; then
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,make,git bookworm "$base.$$.tar"
    mv "$base.$$.tar" "$base"
fi
mkdir -p "$root"
tar -C "$root" -xpf "$base" --exclude='./dev/*'
mkdir -p "$root/srv/project" "$root/.old" "$root/etc/docker"
git -C "$project" archive HEAD | tar -C "$root/srv/project" -x
(cd "$root/srv/project" && git init -q . && git add -A && git -c user.name=x -c user.email=x@example.com commit -qm bare)
echo "{\"bridge\": \"$bridge\"}" >"$root/etc/docker/daemon.json"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# This machine's way to the package registries: certificates, apt and pip and npm settings.
cp --remove-destination /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
cp /etc/pip.conf "$root/etc/" 2>/dev/null || true
cp -r /etc/npmrc /usr/etc/npmrc "$root/etc/" 2>/dev/null || true
if ! ip link show "$bridge" >/dev/null 2>&1; then
    ip link add "$bridge" type bridge
    made_bridge=yes
    ip addr add "$address" dev "$bridge"
    ip link set "$bridge" up
fi
cat >"$root/.enter" <<END
set -e
mount --make-rprivate /; mount --bind "$root" "$root"; cd "$root"
mount -t proc proc proc; mount -t sysfs sysfs sys; mount --rbind /dev dev; mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs tmpfs run; pivot_root . .old; umount -l /.old; cd /srv/project
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
unset PYENV_ROOT VIRTUAL_ENV PYTHONPATH MAKEFLAGS MAKELEVEL TMPDIR DOCKER_HOST
exec bash -c "\$BARE_COMMAND"
END
code=0
BARE_COMMAND="$*" unshare -m -p -f --kill-child bash "$root/.enter" || code=$?
exit "$code"
