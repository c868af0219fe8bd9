"""``crewship features base-images``: bundled data, no server."""

from __future__ import annotations

from dataclasses import asdict

from rich.text import Text

from catalogs.base_images import base_images
from crewship.cli.options import JsonOption
from crewship.cli.terminal import print_json, print_table


def base_images_list(as_json: JsonOption = False) -> None:
    """List base images that a crew may well start from.

    A bundled list: no server is asked. Write one as "image" into the devcontainer.json, or name any
    other image of the registries that the operator allows.
    """
    if as_json:
        print_json({"base_images": [asdict(entry) for entry in base_images()]})
        return
    print_table(
        ("Image", "What", "Description"),
        [
            (
                entry.image,
                Text.assemble(
                    entry.label, (" ✓ recommended" if entry.recommended else "", "green")
                ),
                entry.description,
            )
            for entry in base_images()
        ],
    )
