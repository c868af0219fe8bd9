from __future__ import annotations

from django.apps import AppConfig


class CacheConfig(AppConfig):
    name = "cache"
    verbose_name = "Image cache"
