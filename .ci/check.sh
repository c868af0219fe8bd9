#!/usr/bin/env bash
# Everything that can be said about the code without running the product. All checks run, then the verdict.
set -uo pipefail
cd "$(dirname "$0")/.."
STEP_NAME=check
source .ci/steps.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PATH="$PWD/.venv/bin:$PATH"
# Settings as behind TLS in production, and a data directory that goes away.
export CREWSHIP_DATA_DIR="$scratch" CREWSHIP_HTTPS_ONLY=1 CREWSHIP_ALLOWED_HOSTS=crewship.example.com
unset CREWSHIP_DEBUG CREWSHIP_SECRET_KEY DJANGO_SETTINGS_MODULE
bad=()

check() { # NAME COMMAND...
    local name=$1 from=$SECONDS
    shift
    if "$@" >"$scratch/out" 2>&1; then
        say "$name: ok ($((SECONDS - from)) s)"
    else
        say "$name: FAILED"
        cat "$scratch/out" >&2
        bad+=("$name")
    fi
}

check "ruff check" ruff check --quiet .
check "ruff format" ruff format --check --quiet .
check "mypy" mypy
check "import rules" lint-imports
check "migrations" python manage.py makemigrations --check --dry-run
check "deployment" python manage.py check --deploy --fail-level WARNING
check "links" python .ci/dead_links.py
check "documentation" zensical build --clean --strict
check "API schema" python manage.py spectacular --validate --fail-on-warn --file /dev/null

((${#bad[@]} == 0)) || fail "failed: ${bad[*]}"
