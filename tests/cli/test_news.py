"""A watch's sources: the stream, its resumption, polls, a server that is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crewship.cli.account import Account
from crewship.cli.client import Client, Refused
from crewship.cli.news import follow, parse_events
from crewship.cli.progress import Progress
from tests.cli.test_progress import JOB, Told, job

Answer = httpx.Response | Exception
END = {"status": "completed", "state": "completed", "cached_image": "x", "error": None}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewship.cli.news.time.sleep", lambda seconds: None)


class Watch:
    """What a watch of these answers showed; each request takes the next answer of its path."""

    def __init__(self, **answers: list[Answer]) -> None:
        self._answers = {name: iter(list_) for name, list_ in answers.items()}
        self.resumed_after: list[str | None] = []
        self.away: list[bool] = []
        self.lines: list[str] = []
        self.progress = Progress()

    def run(self) -> Watch:
        with Client(Account("http://x", "crs_x"), httpx.MockTransport(self._answer)) as api:
            for lines in follow(api, "crw_1", self.progress, self.away.append):
                self.lines += lines
        return self

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        if name == "events":
            self.resumed_after.append(request.headers.get("Last-Event-ID"))
        answer = next(self._answers[name])
        if isinstance(answer, Exception):
            raise answer
        return answer


class Broken(httpx.SyncByteStream):
    """A body that breaks off after its chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        raise httpx.ReadError("cut")


def stream(*events: Any, end: bool = False, broken: bool = False) -> httpx.Response:
    frames = [
        f"id: {e['job_id']}:{e['seq']}\nevent: {e['kind']}\ndata: {json.dumps(e)}\n\n".encode()
        for e in events
    ]
    frames = [b"retry: 1000\n\n", *frames, b": keepalive\n\n"]
    if end:
        frames.append(f"event: end\ndata: {json.dumps(END)}\n\n".encode())
    body: Any = Broken(*frames) if broken else httpx.ByteStream(b"".join(frames))
    return httpx.Response(200, stream=body)


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": "No.", "code": code})


def output(told: Told, *lines: str) -> dict[str, Any]:
    return told("log.output", 3, lines=list(lines))


def test_a_stream_is_told_to_its_end() -> None:
    told = Told()
    watch = Watch(events=[stream(output(told, "a"), output(told, "b"), end=True)]).run()
    assert watch.lines == ["| a", "| b"]
    assert watch.progress.end == END
    assert watch.away == []


def test_a_cut_stream_goes_on_after_the_last_event() -> None:
    told = Told()
    first = stream(output(told, "a"), output(told, "b"), broken=True)
    watch = Watch(events=[first, stream(output(told, "c"), end=True)]).run()
    assert watch.lines == ["| a", "| b", "| c"]
    assert watch.resumed_after == [None, f"{JOB}:2"]


def test_a_server_that_is_away_is_waited_for() -> None:
    told = Told()
    events: list[Answer] = [
        stream(output(told, "a")),  # a stopping server closes it without a word
        httpx.ConnectError("refused"),
        httpx.ConnectError("refused"),
        problem(502, "bad_gateway"),
        stream(output(told, "b"), end=True),
    ]
    watch = Watch(events=events).run()
    assert watch.lines == ["| a", "| b"]
    assert watch.away == [True, False]


def test_what_no_waiting_mends_ends_the_watch() -> None:
    with pytest.raises(Refused, match="No"):
        Watch(events=[problem(404, "crew_not_found")]).run()


@pytest.mark.parametrize("refusal", [(404, "not_found"), (429, "too_many_streams")])
def test_without_a_stream_it_polls(refusal: tuple[int, str]) -> None:
    watch = Watch(
        events=[problem(*refusal)],
        provision=[status("running", "a"), status("running", "a"), *[status("completed", "b")] * 2],
        jobs=[jobs("running"), jobs("running"), jobs("completed")],
        log=[httpx.Response(200, text="| a\n"), httpx.Response(200, text="| a\n| b\n")],
    ).run()
    assert watch.lines == ["| a", "| b"]
    assert watch.progress.end is not None
    assert watch.progress.end["state"] == "completed"
    assert {step.mark.word for step in watch.progress.steps} == {"done"}


def test_a_crew_without_a_job_ends_at_once() -> None:
    watch = Watch(
        events=[problem(404, "not_found")],
        provision=[status("idle"), status("idle")],
        jobs=[httpx.Response(200, json={"results": []})],
    ).run()
    assert watch.progress.end is not None
    assert watch.progress.end["state"] is None


def status(word: str, *tail: str) -> httpx.Response:
    body = {"status": word, "cached_image": None, "log_tail": list(tail)}
    return httpx.Response(200, json=body)


def jobs(state: str) -> httpx.Response:
    return httpx.Response(200, json={"results": [job(state=state, step=3, error=None)]})


def chunked(text: bytes, size: int) -> Iterator[bytes]:
    return (text[n : n + size] for n in range(0, len(text), size))


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_are_read_however_they_are_cut(size: int) -> None:
    text = 'id: 1\r\nevent: e\r\ndata: {"t": "größe \u2028"}\r\n\r\n: k\n\nevent: f\ndata: {}\n\n'
    frames = list(parse_events(chunked(text.encode(), size)))
    assert frames == [("e", {"t": "größe \u2028"}), ("f", {})]
