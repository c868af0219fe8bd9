"""The reference builder: ``devcontainer build`` of @devcontainers/cli, on the same features."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

PACKAGE = "@devcontainers/cli@0.89"
BUNDLED = Path(__file__).parent.parent / "catalogs" / "bundled" / "features"


class Reference:
    """One workspace folder per crew; features are copied into each, as the CLI wants it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = folder / "node_modules" / ".bin" / "devcontainer"
        if not program.exists():
            _run(["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), PACKAGE])
        self._program = str(program)
        self._images: list[str] = []

    def build(self, crew: str, features: dict[str, Any], *, cache: bool = True) -> None:
        """The image ``bench-<crew>`` is there. RuntimeError with the CLI's words if not."""
        workspace = self.prepare(crew, features)
        image = f"bench-{crew}"
        self._images.append(image)
        argv = [self._program, "build", "--workspace-folder", str(workspace)]
        # Debian has no buildx; the classic builder caches the same layers.
        argv += ["--image-name", image, "--buildkit", "never"]
        _run(argv if cache else [*argv, "--no-cache"])

    def prepare(self, crew: str, features: dict[str, Any]) -> Path:
        workspace = self._folder / crew
        config = workspace / ".devcontainer"
        config.mkdir(parents=True, exist_ok=True)
        for name in features:
            _copy(BUNDLED / name, config / name)
        body = {
            "image": "debian:bookworm-slim",
            "features": {f"./{name}": options for name, options in features.items()},
        }
        (config / "devcontainer.json").write_text(json.dumps(body))
        return workspace

    def clean(self) -> None:
        """Its images are gone; the builder's cache goes with the last of them."""
        for image in set(self._images):
            subprocess.run(["docker", "rmi", "-f", image], capture_output=True, check=False)


def _copy(feature: Path, to: Path) -> None:
    """The feature without installsAfter: the CLI would look for those at their registry. The
    names' order is the one that they ask for."""
    shutil.copytree(feature, to, dirs_exist_ok=True)
    metadata = to / "devcontainer-feature.json"
    kept = {k: v for k, v in json.loads(metadata.read_text()).items() if k != "installsAfter"}
    metadata.write_text(json.dumps(kept))


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
