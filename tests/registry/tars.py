"""Hand-made archives, good and hostile."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

METADATA = {"id": "tool", "version": "1.2.3", "name": "Tool"}


def entry(name: str, data: bytes = b"", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def tar_of(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def feature_tar(
    metadata: object = METADATA, *more: tuple[tarfile.TarInfo, bytes], zipped: bool = False
) -> bytes:
    data = tar_of(
        entry("./", type=tarfile.DIRTYPE),
        entry("./devcontainer-feature.json", json.dumps(metadata).encode()),
        entry("./install.sh", b"#!/bin/sh\necho hello\n", mode=0o755),
        *more,
    )
    return gzip.compress(data) if zipped else data
