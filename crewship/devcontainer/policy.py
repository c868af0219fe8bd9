"""What an operator allows: publishers of features, registries of images, capabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crewship.devcontainer.types import FeatureRef, ImageRef

PUBLISHERS: Final = (
    "ghcr.io/devcontainers/features",
    "ghcr.io/devcontainers-extra/features",
    "ghcr.io/crewship-ai/features",
)
REGISTRIES: Final = ("docker.io", "ghcr.io", "mcr.microsoft.com", "quay.io")
DEFAULT_IMAGE: Final = "debian:bookworm-slim"

# Names that our own snapshots have on every host. A crew that could start from them by default
# would read what other crews' builds left behind, past the record of who shares what.
_OWN_REPOSITORIES: Final = {
    "library/crewship-cache": "crewship-cache",
    "library/crewship-layer": "crewship-layer",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """Entries are compared after lower-casing and on path borders, never as bare text.

    ``publishers``: ``ghcr.io/acme/features`` allows what is below that path, and nothing of
    ``ghcr.io/acme/features-x``. ``registries``: a host, with its port unless that is the
    scheme's, and optionally a path. IP literals and hosts without a dot count only when they are
    listed themselves, as do ``crewship-cache`` and ``crewship-layer``.
    """

    publishers: tuple[str, ...] = PUBLISHERS
    registries: tuple[str, ...] = REGISTRIES
    default_image: str = DEFAULT_IMAGE
    cap_add_allowed: tuple[str, ...] = ("NET_BIND_SERVICE",)
    max_features: int = 50  # with dependencies

    def allows_publisher(self, ref: FeatureRef) -> bool:
        return any(_covers(entry, ref.resource) for entry in self.publishers)

    def allows_image(self, ref: ImageRef) -> bool:
        name = f"{ref.registry}/{ref.repository}"
        own = _OWN_REPOSITORIES.get(ref.repository) if ref.registry == "docker.io" else None
        if own is not None:
            return own in self.registries or name in self.registries
        return any(_covers(entry, name) for entry in self.registries)


def _covers(entry: str, path: str) -> bool:
    entry = entry.strip().lower().rstrip("/")
    path = path.lower()
    return bool(entry) and (path == entry or path.startswith(f"{entry}/"))
