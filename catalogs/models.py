"""What was fetched for the catalogs, and what operators put over it.

The bundled entries are no rows: they come with the code and are always there (``entries.py``).
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from catalogs.entries import CATEGORIES
from crewship.devcontainer.findings import Findings
from crewship.devcontainer.mise import read_mise
from crewship.devcontainer.refs import parse_feature_ref
from crewship.domain.errors import ConfigError

CUSTOM = ""  # the source of what an operator wrote


class CatalogKind(models.TextChoices):
    FEATURE = "feature", "feature"
    RUNTIME = "runtime", "runtime"


class CatalogEntry(models.Model):
    """A feature or runtime from one source: a publisher's namespace, ``mise``, or an operator.

    An operator's entry goes over the others with its key; what it leaves empty shows through.
    """

    kind = models.CharField(max_length=10, choices=CatalogKind)
    source = models.CharField(max_length=300, blank=True, default=CUSTOM, editable=False)
    ref = models.CharField(
        "reference",
        max_length=300,
        help_text="A feature with its tag (ghcr.io/acme/features/tool:1) or mise's name of a tool.",
    )
    key = models.CharField(max_length=300, editable=False)
    hidden = models.BooleanField(default=False, help_text="Not in the list, whoever has it.")
    name = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True, max_length=1000)
    category = models.CharField(max_length=10, blank=True, choices=[(c, c) for c in CATEGORIES])
    icon = models.CharField(max_length=50, blank=True, help_text="A Lucide icon's name.")
    size_hint = models.CharField(max_length=20, blank=True, help_text="Features: ~80 MB")
    versions = models.JSONField(default=list, blank=True, help_text="Runtimes, newest first.")
    default_version = models.CharField(
        max_length=128, blank=True, help_text="Runtimes: installed where a crew gives no version."
    )
    backends = models.JSONField(default=list, blank=True, help_text='Runtimes: ["npm"]')
    options = models.JSONField(null=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "catalog entries"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "source", "key"], name="catalog_entry_once_a_source"
            )
        ]

    def __str__(self) -> str:
        return self.ref

    def clean(self) -> None:
        """``ref`` is well-formed, ``key`` follows from it, lists are lists of text."""
        if self.ref:
            self.ref, self.key = _parsed(self.kind, self.ref)
        for name in ("versions", "backends"):
            value: Any = getattr(self, name) or []
            if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
                raise ValidationError({name: 'Give a list of texts, such as ["22", "20"].'})
            setattr(self, name, value)
        twin = CatalogEntry.objects.filter(kind=self.kind, source=self.source, key=self.key)
        if twin.exclude(pk=self.pk).exists():
            raise ValidationError({"ref": "There is an entry for it already; change that one."})


def _parsed(kind: str, text: str) -> tuple[str, str]:
    """(ref, key); raises ValidationError."""
    if kind == CatalogKind.RUNTIME:
        findings = Findings()
        read_mise({"tools": {text: ""}}, "", findings)
        if findings.problems:
            raise ValidationError({"ref": findings.problems[0].message})
        return text, text
    try:
        ref = parse_feature_ref(text)
    except ConfigError as err:
        raise ValidationError({"ref": err.message}) from err
    return text.lower(), ref.resource


class CatalogState(models.Model):
    """One row a catalog: when it was fetched, and who is fetching.

    ``revision`` is another one after every change of the catalog's rows; processes remember the
    merged list by it.
    """

    kind = models.CharField(primary_key=True, max_length=10, choices=CatalogKind)
    revision = models.CharField(max_length=40, blank=True)
    fetched_at = models.DateTimeField(null=True)  # of the last refresh that brought something
    attempted_at = models.DateTimeField(null=True)
    fetching_until = models.DateTimeField(null=True)  # a lease; null: nobody is fetching
    error = models.TextField(blank=True)  # of the last refresh; a line for each source that failed

    def __str__(self) -> str:
        return f"{self.kind} catalog"
