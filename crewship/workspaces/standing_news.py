"""Tells a user's open streams to ask at once whether he still may (``standing.py``).

Receivers, since memberships, accounts and tokens change in services, in the admin and by cascades
alike. What is written past the models' signals (``update()``) calls ``announce_standing`` itself.
"""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from crewship.web.news import announce_standing
from crewship.workspaces.models import ApiToken, Membership, User


@receiver([post_save, post_delete], sender=Membership)
@receiver([post_save, post_delete], sender=ApiToken)
def _membership_or_token_changed(
    sender: Any,
    instance: Membership | ApiToken,
    created: bool = False,
    **kwargs: Any,  # Any: the signal's
) -> None:
    if not created:  # a new one takes nothing away
        announce_standing(instance.user_id)


@receiver(post_save, sender=User)
def _account_changed(
    sender: Any,
    instance: User,
    created: bool,
    update_fields: frozenset[str] | None,
    **kwargs: Any,  # Any: the signal's
) -> None:
    """A changed password ends other sessions, a deactivation all; a sign-in's date neither."""
    if not created and set(update_fields or ()) != {"last_login"}:
        announce_standing(instance.pk)
