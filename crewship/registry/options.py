"""How registries are reached: mirrors, layout directories, time-outs, credentials. Frozen data."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

Credentials = tuple[str, str]
"""User name and secret; the user name ``<token>`` marks an identity token (docker's convention)."""

MANIFEST_LIMIT = 4 * 1024 * 1024  # bytes; what registries themselves accept
BLOB_LIMIT = 200 * 1024 * 1024  # bytes; whatever a manifest claims


def no_credentials(_host: str) -> Credentials | None:
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a registry's repositories really are after mirrors have been applied."""

    base_url: str  # "https://ghcr.io", never with a trailing slash
    host: str  # "ghcr.io", "registry.example:5443": what credentials are looked up by
    repository: str  # with the mirror's path prefix


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """Everything an operator may say about registries.

    ``mirrors``: registry host -> base URL (``https://mirror.example/ghcr``) or ``host[/prefix]``;
    a mirror replaces the host, it is no fallback. ``layouts``: resource prefix
    (``ghcr.io/crewship-ai/features``) -> directory in OCI image layout, read instead of any
    network. ``fallbacks``: the same, made when it is called for, and read only where the registry
    can't be reached, refuses, or lacks what is wanted. ``plain_http``: hosts spoken to without
    TLS; loopback hosts always are, unless a mirror's URL says https. ``auth``: host -> credentials
    or None. Times are in seconds, ``total_timeout_s`` is for one manifest or blob with all its
    retries and redirects.
    """

    mirrors: Mapping[str, str] = field(default_factory=dict)
    layouts: Mapping[str, Path] = field(default_factory=dict)
    fallbacks: Mapping[str, Callable[[], Path]] = field(default_factory=dict)
    plain_http: frozenset[str] = frozenset()
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 300.0
    retries: int = 3  # further tries after the first
    ca_bundle: Path | None = None  # trusted in addition to the system's authorities
    auth: Callable[[str], Credentials | None] = no_credentials

    def is_plain_http(self, host: str) -> bool:
        return host in self.plain_http or is_loopback(host)

    def is_configured(self, host: str) -> bool:
        """Whether an operator named this host, so that it may be on a private network."""
        return host in self.plain_http or any(
            urlsplit(_with_scheme(target)).netloc.rpartition("@")[2] == host
            for target in self.mirrors.values()
        )

    def endpoint(self, registry: str, repository: str) -> Endpoint:
        target = self.mirrors.get(registry)
        if target is None:
            host = "registry-1.docker.io" if registry == "docker.io" else registry
            scheme = "http" if self.is_plain_http(host) else "https"
            return Endpoint(f"{scheme}://{host}", host, repository)
        parts = urlsplit(_with_scheme(target))
        host = parts.netloc.rpartition("@")[2]
        scheme = parts.scheme or ("http" if self.is_plain_http(host) else "https")
        prefix = parts.path.strip("/")
        return Endpoint(f"{scheme}://{host}", host, f"{prefix}/{repository}".lstrip("/"))

    def layout(self, registry: str, repository: str) -> tuple[Path, str] | None:
        """The layout directory for a repository and its path below the prefix, or None.

        The longest prefix wins; prefixes end on path borders.
        """
        found = _longest(self.layouts, registry, repository)
        return (self.layouts[found[0]], found[1]) if found else None

    def fallback(self, registry: str, repository: str) -> tuple[Path, str] | None:
        """As ``layout``, of ``fallbacks``."""
        found = _longest(self.fallbacks, registry, repository)
        return (self.fallbacks[found[0]](), found[1]) if found else None


def _longest(prefixes: Collection[str], registry: str, repository: str) -> tuple[str, str] | None:
    """The prefix that a repository is below, and its path there."""
    resource = f"{registry}/{repository}"
    for prefix in sorted(prefixes, key=len, reverse=True):
        if resource == prefix or resource.startswith(prefix + "/"):
            return prefix, resource[len(prefix) :].lstrip("/")
    return None


def _with_scheme(target: str) -> str:
    return target if "://" in target else f"//{target}"


def host_name(host: str) -> str:
    """``registry.example`` of ``registry.example:5443``; ``::1`` of ``[::1]:5000``."""
    return urlsplit(f"//{host}").hostname or ""


def is_loopback(host: str) -> bool:
    name = host_name(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
