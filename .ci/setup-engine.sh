#!/usr/bin/env bash
# A Docker engine answers, a `docker` command exists and the base image is there afterwards.
# An engine that answers already is used as it is; one started here keeps running.
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/steps.sh

base_image=debian:bookworm-slim
engine_log=/var/log/crewship-dockerd.log

answers() { timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

wait_for_engine() {
    local limit=$((SECONDS + $1))
    until answers; do
        ((SECONDS < limit)) || return 1
        sleep 0.2
    done
}

# Debian 12 has the command in docker.io, later releases in docker-cli.
engine_packages() {
    echo docker.io containerd runc iptables
    if apt-cache show docker-cli >/dev/null 2>&1; then echo docker-cli; fi
}

explain_and_stop() {
    local reason
    reason=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null | head -n 1 || true)
    case $reason in
        *"permission denied"*)
            fail "the Docker engine runs, but ${USER:-this user} may not use it. Run this, log in again, then make again:" \
                "sudo usermod -aG docker ${USER:-\$USER}" ;;
    esac
    fail "no Docker engine answers${reason:+ ($reason)}, and this is not root. Run this, then make again:" \
        "sudo apt-get update" \
        "sudo apt-get install -y --no-install-recommends docker.io containerd runc iptables" \
        "sudo systemctl enable --now docker   # without systemd: sudo setsid dockerd &" \
        "sudo usermod -aG docker ${USER:-\$USER}   # then log in again" \
        "or point DOCKER_HOST at an engine that you may use"
}

start_engine() {
    [ -z "${DOCKER_HOST:-}" ] || fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST" \
        "start it, or unset DOCKER_HOST to use an engine on this machine"
    if [ -d /run/systemd/system ]; then
        say "starting the Docker engine (systemctl start docker)"
        systemctl start docker || fail "systemd could not start docker" "see: journalctl -u docker"
        wait_for_engine 30 || fail "the Docker engine does not answer" "see: journalctl -u docker"
        return
    fi
    # A pid file of an engine that was killed would keep the new one from starting.
    if [ -f /run/docker.pid ] && ! kill -0 "$(cat /run/docker.pid)" 2>/dev/null; then rm -f /run/docker.pid; fi
    say "starting the Docker engine (log: $engine_log)"
    # A session of its own, no inherited descriptors: it outlives make and holds no pipe open.
    setsid dockerd >"$engine_log" 2>&1 </dev/null &
    if ! wait_for_engine 60; then
        tail -n 20 "$engine_log" >&2
        fail "the Docker engine did not start; the end of $engine_log is above"
    fi
}

ensure_engine() {
    answers && return
    if command -v docker >/dev/null && command -v dockerd >/dev/null; then
        is_root || explain_and_stop
    elif ! is_root; then
        explain_and_stop
    else
        # shellcheck disable=SC2046 # a list of words is meant
        apt_install $(engine_packages)
    fi
    # The package's own service may be starting just now.
    if [ -d /run/systemd/system ] && wait_for_engine 5; then return; fi
    answers || start_engine
}

apt_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' 2>/dev/null \
        | sed -nE 's,^(\S+) bookworm$,\1,p' | head -n 1
}

# mmdebstrap has its own apt configuration; a proxy that this machine needs is handed on, not kept.
apt_proxies() {
    apt-config dump Acquire::http::Proxy Acquire::https::Proxy 2>/dev/null \
        | sed -nE 's/^(Acquire::https?::Proxy ".+";)$/--aptopt=\1/p'
}

bootstrap_base_image() {
    is_root || fail "the base image can't be pulled, and only root can bootstrap it. Run one of these:" \
        "docker pull $base_image" "sudo make setup"
    command -v mmdebstrap >/dev/null && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] \
        || apt_install mmdebstrap debian-archive-keyring
    say "no registry has $base_image: bootstrapping it from Debian's packages (about 20 s)"
    local work mirror proxies
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # expands now on purpose: $work is local
    trap "rm -rf '$work'" EXIT
    mirror=$(apt_mirror)
    # Without a mirror argument mmdebstrap adds Debian's security and update archives itself.
    case $mirror in *://deb.debian.org/*) mirror= ;; esac
    mapfile -t proxies < <(apt_proxies)
    TMPDIR=$work mmdebstrap --variant=minbase --include=ca-certificates "${proxies[@]}" \
        --customize-hook='rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap"' \
        bookworm "$work/base.tar" ${mirror:+"$mirror"} >"$work/log" 2>&1 \
        || { tail -n 20 "$work/log" >&2; fail "mmdebstrap could not make the base image"; }
    docker import --change 'CMD ["bash"]' "$work/base.tar" "$base_image" >/dev/null
}

ensure_base_image() {
    docker image inspect "$base_image" >/dev/null 2>&1 && return
    say "pulling $base_image"
    # Where Docker Hub can't be reached the engine may wait long for nothing.
    local limit=20
    is_root || limit=120
    timeout "$limit" docker pull -q "$base_image" >/dev/null 2>&1 || bootstrap_base_image
}

ensure_engine
ensure_base_image
