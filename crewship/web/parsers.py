"""JSON bodies as RFC 8259 has them: no NaN, no key twice, no lone surrogates, bounded depth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The body is too large."


def _refuse_constant(name: str) -> None:
    raise ParseError(f"{name} is not JSON.")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ParseError(f"The number {text[:20]} is out of range.")
    return value


def _int(text: str) -> int:
    if len(text) > 30:
        raise ParseError("A number has too many digits.")
    return int(text)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(members)
    if len(out) != len(members):
        raise ParseError("An object has the same key twice.")
    return out


class StrictJsonParser(BaseParser):
    """What a view reads is JSON that the database can store; else a 400 ``malformed_json``.

    A body above DATA_UPLOAD_MAX_MEMORY_SIZE bytes is a 413: Django looks at that limit only where
    it reads the body itself.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:  # Any: JSON
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"The body is longer than {limit} bytes.")
        try:
            text = body.decode("utf-8")
            value = json.loads(
                text,
                parse_constant=_refuse_constant,
                parse_float=_float,
                parse_int=_int,
                object_pairs_hook=_object,
            )
            # A lone surrogate (backslash-u escape) decodes to a str that no database takes.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeError as err:
            raise ParseError("The body is not valid UTF-8 text.") from err
        except RecursionError as err:
            raise ParseError("The body is nested too deeply.") from err
        except ValueError as err:
            raise ParseError(f"The body is not JSON: {err}") from err
        return value
