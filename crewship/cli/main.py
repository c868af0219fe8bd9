"""The ``crewship`` command: which commands there are, and where they live."""

from __future__ import annotations

from typing import Final

from crewship.cli.lazy import Lazy, lazy_app

FEATURES: Final = {
    "base-images": Lazy(
        "List base images that a crew may well start from.",
        "crewship.cli.catalogs:base_images_list",
    ),
}
COMMANDS: Final = {
    "features": Lazy("What can be put into a devcontainer.json.", table=FEATURES),
    "plan": Lazy(
        "Show what a config would install, in which order, and which layers are there already.",
        "crewship.cli.plan:plan",
    ),
    "start": Lazy("Run the whole product on this machine.", "crewship.cli.start:start"),
    "demo": Lazy(
        "Start everything, provision a crew, show its image, and go on serving.",
        "crewship.cli.demo:demo",
    ),
}

app = lazy_app(
    "crewship",
    COMMANDS,
    "Crews' devcontainer configs as cached Docker images.",
    add_completion=True,
)


def main() -> None:
    app()
