"""The one door to the environment: typed readers that fail loudly and name the variable."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from crewship.domain.errors import SettingsError as SettingsError  # raised here, caught there

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|[kMGT]?B)", re.IGNORECASE)
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True)
class Amount:
    """Part of a disk, or a number of bytes: ``percent`` counts where it is not None."""

    percent: float | None = None
    size_bytes: int = 0

    def of(self, total_bytes: int | None) -> int | None:
        """In bytes; None for a part of a disk that is not known."""
        if self.percent is None:
            return self.size_bytes
        return None if total_bytes is None else int(total_bytes * self.percent / 100)


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool = False) -> bool:
    """``1/true/yes/on`` and ``0/false/no/off``, any case; empty means the default."""
    raw = text(name).lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    if not raw:
        return default
    raise SettingsError(f"{name} is {raw!r}; use 1 or 0")


def integer(name: str, default: int, *, least: int = 0) -> int:
    raw = text(name)
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError as err:
        raise SettingsError(f"{name} is {raw!r}; use a whole number") from err
    if value < least:
        raise SettingsError(f"{name} is {value}; the least is {least}")
    return value


def number(name: str, default: float, *, least: float = 0) -> float:
    """Plain decimal notation; no infinity and no not-a-number."""
    raw = text(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError as err:
        raise SettingsError(f"{name} is {raw!r}; use a number") from err
    if not least <= value < math.inf:
        raise SettingsError(f"{name} is {raw}; the least is {least:g}")
    return value


def amount(name: str, default: Amount) -> Amount:
    """``80%`` of a disk, or a size such as ``50GB`` (powers of 1000)."""
    raw = text(name)
    if not raw:
        return default
    found = _AMOUNT.fullmatch(raw)
    if found is None or (found[2] == "%" and float(found[1]) > 100):
        raise SettingsError(f"{name} is {raw!r}; use 80% or a size such as 50GB")
    if found[2] == "%":
        return Amount(percent=float(found[1]))
    return Amount(size_bytes=int(float(found[1]) * _UNITS[found[2].upper()]))


def subnet(name: str, default: str) -> IPv4Network:
    """A range of private IPv4 addresses such as 10.213.0.0/16, no smaller than a /24."""
    raw = text(name, default)
    try:
        value = IPv4Network(raw)
    except ValueError as err:
        raise SettingsError(f"{name} is {raw!r}; use a range such as {default}") from err
    if not value.is_private or value.prefixlen > 24:
        raise SettingsError(f"{name} is {raw}; use private addresses, at least a /24")
    return value


def items(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Comma-separated; ``+a,b`` extends the default instead of replacing it."""
    raw = text(name)
    if not raw:
        return default
    extend = raw.startswith("+")
    values = tuple(part.strip() for part in raw.lstrip("+").split(",") if part.strip())
    return default + values if extend else values


def pairs(name: str) -> dict[str, str]:
    """``a=b,c=d`` as a dict; raises SettingsError on an item without ``=``."""
    out: dict[str, str] = {}
    for item in items(name):
        key, sep, value = item.partition("=")
        if not sep or not key or not value:
            raise SettingsError(f"{name}: {item!r} is not of the form key=value")
        out[key.strip()] = value.strip()
    return out


def path(name: str, default: Path) -> Path:
    raw = text(name)
    return Path(raw).expanduser().resolve() if raw else default
