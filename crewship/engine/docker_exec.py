"""One process in a running container: its output live, its end for certain."""

from __future__ import annotations

import codecs
import contextlib
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from threading import Event
from typing import Any

import docker

from crewship.domain.errors import ContainerGone
from crewship.engine.base import ExecResult, OnOutput
from crewship.engine.docker_containers import DockerContainers
from crewship.engine.docker_errors import engine_errors

POLL_S = 0.15  # how soon cancel and time-outs are seen
KILLED_EXIT_CODE = 137  # 128 + SIGKILL
END_GRACE_S = 5.0  # a killed container's stream ends in 0.15 s; do not trust it for ever
READ_BYTES = 65536
_HEADER = struct.Struct(">BxxxL")  # stream number, length of the payload
_STDERR = 2
# Two pipes would lose the order of what comes through them, and a terminal would make programs ask
# questions and draw bars. The shell that every scratch container has becomes the command.
ONE_PIPE = ("/bin/sh", "-c", 'exec "$@" 2>&1', "sh")


class DockerExecs(DockerContainers):
    def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        user: str,
        env: Sequence[tuple[str, str]] = (),
        workdir: str = "",
        on_output: OnOutput,
        on_stderr: OnOutput | None = None,
        cancel: Event,
        idle_timeout_s: float,
        timeout_s: float,
    ) -> ExecResult:
        watch = Watch(
            cancel, idle_timeout_s, timeout_s, kill=lambda: self.kill_container(container)
        )
        try:
            if watch.killed():
                return watch.result(KILLED_EXIT_CODE)
            with engine_errors(f"running {argv[0]}"):
                made = self._quick.exec_create(
                    container,
                    [*(() if on_stderr else ONE_PIPE), *argv],
                    user=user,
                    environment=[f"{key}={value}" for key, value in env],
                    workdir=workdir or None,
                )
            return self._run(made["Id"], watch, on_output, on_stderr or on_output)
        except ContainerGone:
            # Another exec of the container may have seen cancel first, and killed it.
            if cancel.is_set():
                return ExecResult(KILLED_EXIT_CODE, cancelled=True)
            raise

    def _run(
        self, exec_id: str, watch: Watch, on_output: OnOutput, on_stderr: OnOutput
    ) -> ExecResult:
        decoder = OutputDecoder()

        def hand_over(pieces: Iterator[tuple[int, str]]) -> None:
            for stream, text in pieces:
                (on_stderr if stream == _STDERR else on_output)(text)
                watch.heard()

        with contextlib.closing(_stream(self._quick, exec_id, watch)) as stream:
            for data in stream:
                hand_over(decoder.pieces(data))
        hand_over(decoder.last_pieces())
        return watch.result(self._exit_code(exec_id, watch))

    def _exit_code(self, exec_id: str, watch: Watch) -> int:
        """The stream has ended; the process may still run if it closed its output."""
        while not watch.killed():
            with engine_errors("asking for an exit code"):
                state = self._quick.exec_inspect(exec_id)
            if not state["Running"]:
                # None: the container died before the engine could learn the code.
                code = state["ExitCode"]
                return KILLED_EXIT_CODE if code is None else int(code)
            time.sleep(0.02)
        return KILLED_EXIT_CODE


class Watch:
    """Ends a process that is cancelled, silent for too long, or running for too long."""

    def __init__(
        self,
        cancel: Event,
        idle_timeout_s: float,
        timeout_s: float,
        *,
        kill: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cancel = cancel
        self._idle_timeout_s = idle_timeout_s
        self._kill = kill
        self._clock = clock
        self._ends_at = clock() + timeout_s
        self._heard_at = clock()
        self._verdict = ""

    def heard(self) -> None:
        """The process printed something."""
        self._heard_at = self._clock()

    def killed(self) -> bool:
        """True from the first look on that finds a reason; that look kills the container."""
        if not self._verdict:
            self._verdict = self._reason()
            if self._verdict:
                self._kill()
        return bool(self._verdict)

    def result(self, exit_code: int) -> ExecResult:
        if self._verdict:
            timed_out = "" if self._verdict == "cancelled" else self._verdict
            return ExecResult(KILLED_EXIT_CODE, self._verdict == "cancelled", timed_out)
        # Killed by a parallel exec of the same container that saw cancel first.
        return ExecResult(exit_code, exit_code == KILLED_EXIT_CODE and self._cancel.is_set())

    def _reason(self) -> str:
        now = self._clock()
        if self._cancel.is_set():
            return "cancelled"
        if now >= self._ends_at:
            return "total"
        if now - self._heard_at >= self._idle_timeout_s:
            return "idle"
        return ""


class OutputDecoder:
    """The engine's frames as text, both streams in order of arrival.

    A frame has an 8-byte header (stream number, length); frames and UTF-8 characters may be split
    anywhere. Each stream has its own decoder, or a half character of one would break the other.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stream = 0
        self._left = 0  # bytes of the current frame not yet seen
        new_decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders: defaultdict[int, codecs.IncrementalDecoder] = defaultdict(
            lambda: new_decoder("replace")
        )

    def feed(self, data: bytes) -> str:
        return "".join(text for _, text in self.pieces(data))

    def rest(self) -> str:
        """What a stream that ended in the middle of a character leaves."""
        return "".join(text for _, text in self.last_pieces())

    def pieces(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Pairs of a stream's number (1 stdout, 2 stderr) and what it says, none of it empty."""
        self._buffer += data
        for stream, raw in self._take():
            if text := raw.replace("\0", ""):
                yield stream, text

    def last_pieces(self) -> Iterator[tuple[int, str]]:
        for stream, decoder in self._decoders.items():
            if text := decoder.decode(b"", final=True):
                yield stream, text

    def _take(self) -> Iterator[tuple[int, str]]:
        while self._buffer:
            if not self._left:
                if len(self._buffer) < _HEADER.size:
                    return
                self._stream, self._left = _HEADER.unpack_from(self._buffer)
                del self._buffer[: _HEADER.size]
                continue
            payload = bytes(self._buffer[: self._left])
            del self._buffer[: len(payload)]
            self._left -= len(payload)
            yield self._stream, self._decoders[self._stream].decode(payload)


def _stream(client: docker.APIClient, exec_id: str, watch: Watch) -> Generator[bytes, None, None]:
    """Start the exec; its framed output as it arrives, with a look at the watch in between.

    The SDK's own reader is not used, for two reasons: it waits without a time-out, and it drops
    bytes that arrived together with the answer's headers (16 of 60 quick execs lost output), which
    also breaks the framing of all that follows.
    """
    with engine_errors("starting a command"):
        raw: Any = client.exec_start(exec_id, socket=True)  # Any: SocketIO, SSL socket, channel
    response = raw._response
    sock = getattr(raw, "_sock", raw)
    try:
        sock.settimeout(0)
        # BlockingIOError and its SSL cousin: nothing came with the headers.
        with contextlib.suppress(OSError):
            if early := response.raw._fp.fp.peek():
                yield early
        sock.settimeout(POLL_S)
        give_up_at = float("inf")
        while time.monotonic() < give_up_at:
            if watch.killed():
                give_up_at = min(give_up_at, time.monotonic() + END_GRACE_S)
            try:
                data = sock.recv(READ_BYTES)
            except TimeoutError:
                continue
            except OSError:  # reset: the engine went away; asking for the exit code says so
                return
            if not data:
                return
            yield data
    finally:
        response.close()
        sock.close()
