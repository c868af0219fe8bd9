#!/usr/bin/env bash
# What some test parts need beside `make setup`: test-tools.sh [registry] [cli] [browser] [npm]
set -euo pipefail
cd "$(dirname "$0")/.."
source .ci/steps.sh

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || apt_install "$2"
}

for tool; do
    case $tool in
        registry)
            need docker-registry docker-registry
            need redis-server redis-server
            ;;
        cli) need tmux tmux ;;
        npm) need npm npm ;;
        browser) need chromium chromium ;;
        *) fail "unknown test tool: $tool" ;;
    esac
done
