"""The operator's pages in Django's admin. Like the API they only call services and selectors.

One room for all of them, above the apps: deleting a workspace or provisioning a crew is
``provisioning``'s work, which the apps below it may not import.
"""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group

from crewship.admin import agents, audit, cache, catalogs, crews, jobs, workspaces

# Importing them registers their pages.
__all__ = ["agents", "audit", "cache", "catalogs", "crews", "jobs", "workspaces"]

# Only superusers come here and they need no groups; what members may do is domain.roles' table.
if admin.site.is_registered(Group):
    admin.site.unregister(Group)
