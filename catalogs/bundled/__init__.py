"""Our own features, as sources; ``catalogs/pack.py`` makes an OCI layout of them."""

from __future__ import annotations

from pathlib import Path

FEATURES = Path(__file__).with_name("features")
NAMESPACE = "ghcr.io/crewship-ai/features"
