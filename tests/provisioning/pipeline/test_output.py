"""From what a script prints to lines that are safe to store and to show anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.pipeline.output import (
    MAX_LINE,
    LineSplitter,
    clean_line,
    clean_text,
    gap_line,
    lines_in_gap,
    plain,
)

NOISE = st.text(
    st.sampled_from(list("ab\x1b[]0;52m8\\\x07\r\n\t\x9b\x00\u202e\u2066P_^?hlJ ä")), max_size=200
)


def lines_of(*chunks: str) -> list[str]:
    lines: list[str] = []
    splitter = LineSplitter(lines.extend)
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.close()
    return lines


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("tab\tstays", "tab\tstays"),
        ("größe 🚀", "größe 🚀"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[38;5;196mred", "\x1b[38;5;196mred"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "click"),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b]52;c;ZXZpbA==\x07x", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]52;c;ZXZpbA==", ""),
        ("\x1bPdcs\x1b\\x", "x"),
        ("\x1b_apc\x1b\\x", "x"),
        ("\x1b[2J\x1b[Hx", "x"),
        ("\x1b[?1049hx", "x"),
        ("\x1b[10Ax", "x"),
        ("\x1bcx", "x"),
        ("a\x08b\x00c\x7fd", "abcd"),
        ("\u202eevil\u202c \u2066iso\u2069", "evil iso"),
        ("10%\r50%\r100%", "100%"),
        ("100%\r", "100%"),
        ("windows\r", "windows"),
        ("", ""),
    ],
)
def test_a_line_is_shown_without_control_sequences(raw: str, shown: str) -> None:
    assert clean_line(raw) == shown


def test_plain_has_no_colours() -> None:
    assert plain("\x1b[1;31mred\x1b[0m text") == "red text"


def test_a_text_is_cleaned_line_by_line() -> None:
    assert clean_text("a\n\x1b[31mb\x1b]52;c;x\x07\nc\x00") == "a\nb\nc"


def test_lines_are_joined_across_chunks() -> None:
    assert lines_of("he", "llo\nwor", "ld\n", "end") == ["hello", "world", "end"]


@pytest.mark.parametrize(
    "chunks",
    [
        ("\x1b", "]52;c;evil\x07ok\n"),
        ("\x1b]52;c;ev", "il\x07ok\n"),
        ("\x1b]52;c;evil", "\x07ok\n"),
        ("\x1b[2", "Jok\n"),
    ],
)
def test_a_sequence_cut_by_a_chunk_is_still_removed(chunks: tuple[str, ...]) -> None:
    assert lines_of(*chunks) == ["ok"]


def test_a_progress_bar_is_one_line() -> None:
    assert lines_of(*[f"\r{n}%" for n in range(100)], "\n") == ["99%"]


def test_an_endless_progress_bar_keeps_its_end() -> None:
    assert lines_of(*["\r" + "#" * 70 + f" {n}%" for n in range(1000)], "\n")[0].endswith(" 999%")


@pytest.mark.parametrize("size", [1_000_000, MAX_LINE + 1])
def test_a_long_line_is_cut_and_says_so(size: int) -> None:
    (line,) = lines_of("x" * size + "\n")
    assert line == "x" * (MAX_LINE - 11) + " [line cut]"


def test_a_long_line_in_many_chunks_is_one_cut_line() -> None:
    (line,) = lines_of(*["x" * 10_000] * 100, "\n")
    assert line == "x" * (MAX_LINE - 11) + " [line cut]"


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    assert lines_of("x" * MAX_LINE + "\n") == ["x" * MAX_LINE]


def test_the_tail_has_the_last_lines_without_colours_or_blanks() -> None:
    splitter = LineSplitter(lambda _lines: None)
    splitter.feed("".join(f"\x1b[31m{n}\x1b[0m\n\n" for n in range(40)))
    splitter.close()
    assert splitter.tail(3) == "37\n38\n39"


def test_a_prefix_stands_before_every_line() -> None:
    lines: list[str] = []
    splitter = LineSplitter(lines.extend, "[web] ")
    splitter.feed("a\nb")
    splitter.close()
    assert lines == ["[web] a", "[web] b"]


def test_a_line_with_its_prefix_is_no_longer_than_others() -> None:
    lines: list[str] = []
    splitter = LineSplitter(lines.extend, "[" + "w" * 1000 + "] ")
    splitter.feed("x" * 10_000 + "\n")
    assert len(lines[0]) == MAX_LINE
    assert lines[0].endswith("x [line cut]")


def test_a_line_that_says_what_is_missing_is_read_again() -> None:
    assert lines_in_gap(gap_line({"lines": 12, "bytes": 345})) == 12
    assert lines_in_gap("| " + gap_line({"lines": 12, "bytes": 345})) == 0


@given(NOISE)
def test_no_control_character_but_colours_survives(text: str) -> None:
    for line in lines_of(text):
        rest = plain(line)
        assert not [c for c in rest if (ord(c) < 32 and c != "\t") or 0x7F <= ord(c) < 0xA0]
        assert not set(rest) & set("\u202e\u2066")


@given(NOISE, st.integers(0, 200))
def test_where_chunks_end_makes_no_difference(text: str, cut: int) -> None:
    assert lines_of(text[:cut], text[cut:]) == lines_of(text)
