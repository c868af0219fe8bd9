from __future__ import annotations

import struct
from threading import Event

import pytest

from crewship.engine.docker_exec import OutputDecoder, Watch


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(payload)) + payload


class TestOutputDecoder:
    def test_frames_of_both_streams_join_in_order(self) -> None:
        data = frame(1, b"out ") + frame(2, b"err ") + frame(1, b"out")
        assert OutputDecoder().feed(data) == "out err out"

    def test_frames_and_characters_may_be_split_anywhere(self) -> None:
        decoder, data = OutputDecoder(), frame(1, "☃ – 🚢".encode())
        pieces = [decoder.feed(data[at : at + 1]) for at in range(len(data))]
        assert "".join(pieces) == "☃ – 🚢"

    def test_a_character_split_over_two_frames_is_joined_past_the_other_stream(self) -> None:
        snowman = "☃".encode()
        data = frame(1, snowman[:1]) + frame(2, b"!") + frame(1, snowman[1:])
        assert OutputDecoder().feed(data) == "!☃"

    def test_broken_utf8_is_replaced(self) -> None:
        assert OutputDecoder().feed(frame(1, b"a\xffb")) == "a�b"

    def test_a_half_character_at_the_end_is_replaced(self) -> None:
        decoder = OutputDecoder()
        decoder.feed(frame(1, b"\xe2\x98"))
        assert decoder.rest() == "�"

    def test_nul_bytes_are_dropped(self) -> None:
        assert OutputDecoder().feed(frame(1, b"a\0b")) == "ab"

    def test_an_empty_frame_is_nothing(self) -> None:
        assert OutputDecoder().feed(frame(1, b"") + frame(2, b"x")) == "x"


class TestWatch:
    @pytest.fixture(autouse=True)
    def a_watch(self) -> None:
        self.now = 0.0
        self.kills = 0
        self.cancel = Event()
        self.watch = Watch(self.cancel, 10, 30, kill=self.kill, clock=lambda: self.now)

    def kill(self) -> None:
        self.kills += 1

    def test_goes_on_while_all_is_well(self) -> None:
        self.now = 9
        assert not self.watch.killed()

    def test_kills_once_when_cancelled(self) -> None:
        self.cancel.set()
        assert [self.watch.killed(), self.watch.killed()] == [True, True]
        assert self.kills == 1
        assert self.watch.result(0).cancelled

    def test_silence_is_idle(self) -> None:
        self.now = 10
        self.watch.killed()
        assert self.watch.result(0).timed_out == "idle"

    def test_output_puts_idle_off(self) -> None:
        self.now = 9
        self.watch.heard()
        self.now = 18
        assert not self.watch.killed()

    def test_output_does_not_put_the_total_off(self) -> None:
        self.now = 29
        self.watch.heard()
        self.now = 30
        self.watch.killed()
        result = self.watch.result(0)
        assert (result.exit_code, result.timed_out) == (137, "total")
