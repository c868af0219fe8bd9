"""How the dashboard writes times, durations, sizes and icons."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Final

import lucide
from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from crewship.dashboard.ansi import render_line
from crewship.domain.durations import duration
from crewship.domain.roles import Role
from provisioning.pipeline.output import gap_line

register = template.Library()

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_ICON_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")


@register.simple_tag
def icon(name: str, size: int = 16) -> SafeString:
    """A Lucide icon as inline SVG, hidden from screen readers: the text beside it says it."""
    if not _ICON_NAME.fullmatch(name):
        name = "box"
    attributes = {"class": "icon", "aria_hidden": "true", "focusable": "false"}
    try:
        svg = lucide._render_icon(name, size, **attributes)
    except lucide.IconDoesNotExist:  # a catalog may name an icon that this version lacks
        svg = lucide._render_icon("box", size, **attributes)
    return mark_safe(svg)  # noqa: S308  # made of the package's own files


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """``3 min ago`` with the exact time as the tooltip; live.js keeps it true."""
    if at is None:
        return "never"
    seconds = (timezone.now() - at).total_seconds()
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        at.isoformat(timespec="seconds"),
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        "just now" if seconds < 10 else f"{span(seconds)} ago",
    )


@register.filter
def until(at: datetime) -> SafeString:
    """``in 12 d``, rounded up, or ``expired``, with the exact time as the tooltip."""
    seconds = (at - timezone.now()).total_seconds()
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        f"in {_span_up(seconds)}" if seconds > 0 else "expired",
    )


@register.filter
def span(seconds: float) -> str:
    """The biggest unit of a span: ``41 s``, ``3 min``, ``12 d``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _span_up(seconds: float) -> str:
    """As ``span``, but what lasts seven days says so until a day of it is over."""
    for size, unit in _UNITS:
        if seconds > size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} s"


@register.filter("duration")
def duration_or_nothing(seconds: float | None) -> str:
    """``41 s``; nothing for what has no duration yet."""
    return "" if seconds is None else duration(seconds)


@register.filter
def size(count: int | None) -> str:
    """Bytes as docker writes them, in powers of 1000: ``1.2 GB``."""
    value = float(count or 0)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


@register.filter
def short_hash(text: str | None) -> str:
    """The first 12 digits of a hash or digest, without ``sha256:``."""
    return (text or "").removeprefix("sha256:")[:12]


@register.filter
def leaf(ref: str) -> str:
    """``python:1`` of ``ghcr.io/devcontainers/features/python:1``."""
    return ref.rsplit("/", 1)[-1]


@register.simple_tag
def query_with(query: QueryDict, **changes: object) -> str:
    """The query string with some parameters changed."""
    changed = query.copy()
    for name, value in changes.items():
        changed[name] = str(value)
    return changed.urlencode()


@register.filter
def log_line(line: str) -> SafeString:
    """A line of a script's output with its colours."""
    return render_line(line)


register.filter("gap_line", gap_line)


@register.filter
def digest_of(resolved: str) -> str:
    """``sha256:…`` of ``ghcr.io/x/y@sha256:…``."""
    return resolved.rpartition("@")[2]


@register.filter
def rank(role: str) -> int:
    """0 for OWNER, growing as the role gets weaker."""
    return Role(role).rank


@register.filter
def agent_dot(status: str) -> str:
    """The dot of an agent's state, in the words of the style sheet."""
    return {
        "running": "ok",
        "starting": "running",
        "stopping": "running",
        "exited": "warn",
        "failed": "failed",
    }.get(status, "idle")


@register.filter
def as_text(value: object) -> str:
    """JSON on one line, a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
