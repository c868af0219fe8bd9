"""All that our tables hold, to show that a refused request changed nothing."""

from __future__ import annotations

from typing import Any

from django.apps import apps

OUR_APPS = ("workspaces", "crews", "cache", "provisioning")
NOT_A_CHANGE = {"last_used_at"}  # of a token: it is noted at every use


def all_rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of our apps by model; equal dumps mean that nothing was written in between."""
    return {
        model._meta.label: [
            {
                k: v
                for k, v in row.items()
                if k not in NOT_A_CHANGE or "token" not in model.__name__.lower()
            }
            for row in model._default_manager.order_by("pk").values()
        ]
        for label in OUR_APPS
        for model in apps.get_app_config(label).get_models()
    }
