"""Events that wait to be written: in order, packed, and without the middle of a flood."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from provisioning.log_buffer import CHUNK_BYTES, CHUNK_LINES, Entry, LogBuffer
from provisioning.states import EventKind
from provisioning.stored_json import StoredJSON

ALL = 10**9
LINE = "x" * 97  # 100 bytes as stored


def lines_of(entries: list[Entry]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        kind, _, data = entry.event()
        found += data["lines"] if kind == EventKind.OUTPUT else [f"<{kind}>"]
    return found


def gaps(entries: list[Entry]) -> list[Any]:
    return [e.event()[2] for e in entries if e.kind == EventKind.LOG_GAP]


def numbered(count: int, size: int = 97) -> list[str]:
    return [f"{n:0{size}}" for n in range(count)]


def test_lines_share_events_of_bounded_length_and_size() -> None:
    buffer = LogBuffer(head=ALL, tail=ALL)
    buffer.add_output(1, ["x"] * (CHUNK_LINES + 1))
    buffer.add_output(1, ["y" * 4000] * 100)
    entries = buffer.take(ALL)
    assert max(e.lines for e in entries) == CHUNK_LINES
    assert max(e.size for e in entries) <= CHUNK_BYTES
    assert lines_of(entries) == ["x"] * (CHUNK_LINES + 1) + ["y" * 4000] * 100


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=9), max_size=40))
def test_no_text_takes_more_bytes_than_were_counted(lines: list[str]) -> None:
    buffer = LogBuffer(head=ALL, tail=ALL)
    buffer.add_output(1, lines)
    for entry in buffer.take(ALL):
        stored = StoredJSON().encode(entry.event()[2]).encode()
        assert len(stored) <= entry.size <= len(stored) + 1


def test_output_of_another_step_is_another_event() -> None:
    buffer = LogBuffer(head=ALL, tail=ALL)
    buffer.add_output(1, ["a"])
    buffer.add_output(2, ["b"])
    assert [(e.step, lines_of([e])) for e in buffer.take(ALL)] == [(1, ["a"]), (2, ["b"])]


def test_the_beginning_and_the_end_stay_with_one_gap_between() -> None:
    buffer = LogBuffer(head=10_000, tail=30_000)
    lines = numbered(5000)
    for at in range(0, 5000, 10):
        buffer.add_output(1, lines[at : at + 10])
        buffer.add(EventKind.STEP_MESSAGE, 1, {}) if at % 50 == 0 else None
    entries = [e for e in buffer.take(ALL) if e.kind != EventKind.STEP_MESSAGE]
    [gap] = gaps(entries)
    kept = [line for line in lines_of(entries) if line[0] != "<"]
    first = next(n for n, line in enumerate(kept) if line != lines[n])
    assert kept[:first] == lines[:first]
    assert kept[first:] == lines[first - len(kept) :]
    assert gap == {"lines": 5000 - len(kept), "bytes": (5000 - len(kept)) * 98}
    assert 90 <= first <= 100
    assert 240 <= len(kept) - first <= 300


def test_the_gap_stands_between_the_kept_parts() -> None:
    buffer = LogBuffer(head=1000, tail=70_000)
    buffer.add_output(1, numbered(5000))
    kinds = [e.kind for e in buffer.take(ALL)]
    assert kinds[:2] == [EventKind.OUTPUT, EventKind.LOG_GAP]
    assert set(kinds[2:]) == {EventKind.OUTPUT}


def test_only_output_is_dropped() -> None:
    buffer = LogBuffer(head=0, tail=1000)
    for n in range(100):
        buffer.add(EventKind.SYSTEM, 1, {"text": str(n)})
        buffer.add_output(1, [LINE])
    said = [e.data["text"] for e in buffer.take(ALL) if e.kind == EventKind.SYSTEM]
    assert said == [str(n) for n in range(100)]


def test_what_is_held_is_bounded_while_nothing_is_taken() -> None:
    buffer = LogBuffer(head=10_000, tail=100_000)
    for _ in range(200):
        buffer.add_output(1, [LINE] * 100)
    assert len(buffer._entries) < 10
    assert sum(len(e.packed) for e in buffer._entries.values()) < 110_000


def test_a_batch_is_bounded() -> None:
    buffer = LogBuffer(head=ALL, tail=ALL)
    buffer.add_output(1, ["x" * 4000] * 200)
    batches = []
    while buffer:
        batches.append(buffer.take(200_000))
    assert max(sum(e.size for e in batch) for batch in batches) <= 200_000
    assert sum(len(lines_of(batch)) for batch in batches) == 200


def test_what_could_not_be_written_comes_first_again() -> None:
    buffer = LogBuffer(head=ALL, tail=ALL)
    buffer.add_output(1, ["a"])
    taken = buffer.take(ALL)
    buffer.add_output(1, ["b"])
    buffer.put_back(taken)
    buffer.add_output(1, ["c"])
    assert lines_of(buffer.take(ALL)) == ["a", "b", "c"]


def test_what_comes_back_too_late_is_part_of_the_gap() -> None:
    buffer = LogBuffer(head=0, tail=70_000)
    lines = numbered(3000)
    buffer.add_output(1, lines[:500])
    buffer.add(EventKind.SYSTEM, 1, {"text": "kept"})
    taken = buffer.take(ALL)
    buffer.add_output(1, lines[500:])
    buffer.put_back(taken)
    entries = buffer.take(ALL)
    [gap] = gaps(entries)
    kept = [line for line in lines_of(entries) if line[0] != "<"]
    assert kept == lines[-len(kept) :]
    assert gap["lines"] == 3000 - len(kept)
    assert [e.data for e in entries if e.kind == EventKind.SYSTEM] == [{"text": "kept"}]


def test_a_gap_that_comes_back_is_joined_with_the_newer() -> None:
    buffer = LogBuffer(head=0, tail=70_000)
    buffer.add_output(1, numbered(2000))
    taken = buffer.take(100)  # the gap and a chunk
    assert len(gaps(taken)) == 1
    buffer.add_output(1, numbered(2000))
    buffer.put_back(taken)
    entries = buffer.take(ALL)
    [gap] = gaps(entries)
    assert gap["lines"] + sum(e.lines for e in entries if e.kind == EventKind.OUTPUT) == 4000


def test_a_message_replaces_the_one_before_it() -> None:
    buffer = LogBuffer(head=ALL, tail=ALL)
    for text in "abc":
        buffer.replace(EventKind.STEP_MESSAGE, 1, {"message": text})
    buffer.add_output(1, ["x"])
    buffer.replace(EventKind.STEP_MESSAGE, 1, {"message": "d"})
    found = [e.data["message"] for e in buffer.take(ALL) if e.kind == EventKind.STEP_MESSAGE]
    assert found == ["c", "d"]
