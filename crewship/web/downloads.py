"""Text of any length as a download, without holding it in memory, under ASGI and WSGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

LINES_AT_ONCE = 1000


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
    while portion := list(islice(lines, LINES_AT_ONCE)):
        yield "".join(f"{line}\n" for line in portion)


async def _in_thread(portions: Iterator[str]) -> AsyncIterator[str]:
    following = sync_to_async(lambda: next(portions, None))
    while (portion := await following()) is not None:
        yield portion
