"""How the admin writes times: to the second, sortable, with their zone (Django's own for English
would be ``Nov. 25, 2026, 4:26 a.m.``)."""

from __future__ import annotations

DATETIME_FORMAT = "Y-m-d H:i:s e"
