"""Text of any length as a download, without holding it in memory, under ASGI and WSGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

AT_ONCE_CHARACTERS: Final = 256 * 1024


def text_download(
    request: HttpRequest, lines: Iterable[str], filename: str
) -> StreamingHttpResponse:
    """The lines, each with a newline, as a plain-text attachment.

    Under ASGI Django would read a plain iterator to its end before sending; it gets one that
    fetches a portion at a time in a thread instead.
    """
    portions = _portions(iter(lines))
    body = _in_thread(portions) if isinstance(request, ASGIRequest) else portions
    response = StreamingHttpResponse(body, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _portions(lines: Iterator[str]) -> Iterator[str]:
    portion: list[str] = []
    size = 0
    for line in lines:
        portion.append(f"{line}\n")
        size += len(line) + 1
        if size >= AT_ONCE_CHARACTERS:
            yield "".join(portion)
            portion, size = [], 0
    if portion:
        yield "".join(portion)


async def _in_thread(portions: Iterator[str]) -> AsyncIterator[str]:
    following = sync_to_async(lambda: next(portions, None))
    while (portion := await following()) is not None:
        yield portion
