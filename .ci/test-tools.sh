#!/usr/bin/env bash
# What some test parts need beside `make setup`: test-tools.sh [registry] [postgres] [cli] [browser] [npm]
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/steps.sh

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || apt_install "$2"
}

# The server's programs without a running server: the tests start their own.
need_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return
    command -v postgres >/dev/null && return
    local conf=/etc/postgresql-common/createcluster.d/crewship-tests.conf
    if is_root; then
        mkdir -p "${conf%/*}"
        echo 'create_main_cluster = false' >"$conf"
        trap 'rm -f "'$conf'"' EXIT
    fi
    apt_install postgresql
}

for tool; do
    case $tool in
        registry)
            need docker-registry docker-registry
            need redis-server redis-server
            ;;
        postgres) need_postgres ;;
        cli) need tmux tmux ;;
        npm) need npm npm ;;
        browser) need chromium chromium ;;
        *) fail "unknown test tool: $tool" ;;
    esac
done
