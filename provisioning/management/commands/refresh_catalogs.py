"""``manage.py refresh_catalogs``: fetch the catalogs of features and runtimes now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from catalogs.models import CatalogKind
from catalogs.refresh import refresh
from provisioning.toolbox import catalog_sources


class Command(BaseCommand):
    help = "Fetch the catalogs now; a source that fails keeps its last good copy."

    def handle(self, *args: Any, **options: Any) -> None:
        sources = catalog_sources(settings.CREWSHIP)
        brought = False
        for kind in CatalogKind:
            report = refresh(kind, sources)
            if report is None:
                self.stdout.write(f"{kind}: another process is fetching it")
                brought = True
                continue
            for source, count in report.counts.items():
                self.stdout.write(f"{kind}: {count} from {source}")
            for source, error in report.errors.items():
                self.stderr.write(f"{kind}: {source}: {error}")
            brought = brought or bool(report.counts)
        if not brought:
            raise CommandError("No source could be read; the last good copies stay.")
