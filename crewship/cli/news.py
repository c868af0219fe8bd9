"""Where a watch's news come from: the crew's event stream, or polls where there is none.

A lost connection and a server that restarts are waited for; the stream then goes on after the last
event that was told, so that no line is lost or repeated.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Final

from crewship.cli.client import Client, Refused
from crewship.cli.progress import ACTIVE, Progress
from crewship.domain.errors import Unavailable

POLL_S: Final = 1.0
SILENCE_S: Final = 45.0  # three of the server's keepalives
FIRST_PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 5.0
PASSING: Final = (429, 500, 502, 503, 504)  # statuses that a restarting server or proxy answers

Lines = list[str]
Source = Callable[[Client, str, Progress], Iterator[Lines]]


def follow(
    api: Client, crew_id: str, progress: Progress, waiting: Callable[[bool], None]
) -> Iterator[Lines]:
    """New log lines after each piece of news, until ``progress.end`` is known.

    ``waiting`` is told when the server is away, and when it is back. Raises Refused for what no
    waiting mends (the crew is gone, the token was revoked).
    """
    source: Source = streamed
    pause, away = FIRST_PAUSE_S, False
    while progress.end is None:
        try:
            for lines in source(api, crew_id, progress):
                if away:
                    pause, away = FIRST_PAUSE_S, False
                    waiting(False)
                yield lines
        except Refused as error:
            if source is streamed and error.error_code in ("not_found", "too_many_streams"):
                source = polled
                continue
            if error.status not in PASSING:
                raise
            away = _now_away(away, waiting)
        except Unavailable:
            away = _now_away(away, waiting)
        if progress.end is None:  # also after a stream that a stopping server closed
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # not all watches at once
            pause = min(pause * 2, LONGEST_PAUSE_S) if away else FIRST_PAUSE_S


def _now_away(before: bool, waiting: Callable[[bool], None]) -> bool:
    if not before:
        waiting(True)
    return True


def streamed(api: Client, crew_id: str, progress: Progress) -> Iterator[Lines]:
    """The stream's news from where ``progress`` is, until it closes."""
    headers = {"Accept": "text/event-stream, application/json;q=0.5"}
    if progress.seq:
        headers["Last-Event-ID"] = f"{progress.job_id}:{progress.seq}"
    path = f"/crews/{crew_id}/provision/events"
    with api.stream(path, headers, read_timeout_s=SILENCE_S) as answer:
        progress.skew = _skew(answer.headers.get("Date", ""))
        yield []  # the server is there
        for event, data in parse_events(answer.iter_bytes()):
            if event == "end":
                progress.finish(data)
                yield []
                return
            if "seq" in data:
                yield progress.take(data)


def parse_events(chunks: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:  # Any: JSON
    """Server-sent events (HTML Living Standard, 9.2.6) whose data are JSON objects."""
    event, data, rest = "", "", b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if not line and data:
                yield event, json.loads(data)
            name, _, value = line.partition(":")
            if not line:
                event, data = "", ""
            elif name == "event":
                event = value.removeprefix(" ")
            elif name == "data":
                data += value.removeprefix(" ")


def polled(api: Client, crew_id: str, progress: Progress) -> Iterator[Lines]:
    """The same by asking every second; the log is read again when its tail changed."""
    tail: object = None
    while True:
        status = api.call("GET", f"/crews/{crew_id}/provision")
        jobs = api.call("GET", f"/crews/{crew_id}/jobs?page_size=1")["results"]
        fresh: Lines = []
        if jobs:
            progress.take_job(jobs[0])
            ended = jobs[0]["state"] not in ACTIVE
            if ended or status.get("log_tail") != tail:
                tail = status.get("log_tail")
                log = api.text(f"/jobs/{jobs[0]['id']}/log")
                fresh = progress.take_log(log.split("\n")[:-1])
        if not jobs or ended:
            latest = jobs[0] if jobs else {"state": None, "error": None}
            now = api.call("GET", f"/crews/{crew_id}/provision")  # the first may be from before
            progress.finish({**latest, **now, "error": latest["error"]})
            yield fresh
            return
        yield fresh
        time.sleep(POLL_S)


def _skew(date: str) -> float:
    """By an answer's Date header, to the second; 0 where it has none."""
    try:
        ahead = parsedate_to_datetime(date).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0
    return ahead if abs(ahead) > 2 else 0.0
