"""``manage.py pack_features``: the bundled features as an OCI layout that builds can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from catalogs.bundled import FEATURES, NAMESPACE
from catalogs.pack import pack_features


class Command(BaseCommand):
    help = "Pack the bundled features (or another folder of features) into an OCI layout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("layout", type=Path)
        parser.add_argument("--source", type=Path, default=FEATURES)
        parser.add_argument("--namespace", default=NAMESPACE)

    def handle(self, *args: Any, **options: Any) -> None:
        layout = options["layout"].resolve()
        pack_features(options["source"], layout, options["namespace"])
        self.stdout.write(f"CREWSHIP_FEATURE_LAYOUTS={options['namespace']}={layout}")
