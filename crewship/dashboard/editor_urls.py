"""Pages that make and change crews, below /w/<workspace>/."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
