from __future__ import annotations

import logging
import sys

import pytest

from crewship.web.requests import (
    LONGEST_LINE,
    LONGEST_PATH,
    LONGEST_RECORD,
    TokenlessFormatter,
    shortened,
)


def formatted(message: str, *args: object, name: str = "django.request") -> str:
    record = logging.LogRecord(name, logging.WARNING, __file__, 1, message, args, None)
    return TokenlessFormatter().format(record)


def test_a_short_path_is_written_whole():
    assert formatted("Not Found: %s", "/crews/x") == "Not Found: /crews/x"


def test_a_long_path_is_cut_and_its_length_said():
    assert formatted("%s: %s", "Not Found", "/" + "a" * 60_000) == (
        "Not Found: /" + "a" * (LONGEST_PATH - 1) + "… (60001 characters)"
    )


@pytest.mark.parametrize("name", ["django.request", "django.security.csrf", "django.server"])
def test_a_path_is_cut_whichever_part_of_django_writes_it(name):
    assert len(formatted("%s", "/" + "a" * 60_000, name=name)) < LONGEST_PATH + 50


def test_a_record_without_arguments_is_written():
    assert formatted("Bad Request") == "Bad Request"


def test_arguments_that_are_a_mapping_are_left_alone():
    record = logging.LogRecord("django.x", logging.INFO, __file__, 1, "%(a)s", ({"a": "b"},), None)
    assert TokenlessFormatter().format(record) == "b"


def test_other_handlers_get_the_record_as_it_was():
    path = "/" + "a" * 600
    record = logging.LogRecord("django.request", 30, __file__, 1, "%s", (path,), None)
    TokenlessFormatter().format(record)
    assert record.getMessage() == path


def test_a_long_line_of_anybody_is_cut():
    assert len(formatted("x" * 60_000, name="crewship")) < LONGEST_LINE + 50


def test_a_record_of_many_lines_is_cut():
    assert len(formatted("line\n" * 100_000, name="crewship")) <= LONGEST_RECORD


def test_a_token_in_a_long_path_is_not_written():
    assert "crs_secret" not in formatted("%s", "/crs_secret" + "a" * 600)


def test_a_token_in_a_trace_is_not_written():
    try:
        raise ValueError("crs_secret")
    except ValueError:
        trace = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), trace)
    assert "crs_***" in TokenlessFormatter().format(record)


def test_what_fits_is_not_shortened():
    assert shortened("abc", 3) == "abc"
