"""Reading and pressing the admin's pages."""

from __future__ import annotations

from html import unescape
from typing import Any

from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.db.models import Model
from django.test import Client
from django.urls import reverse


def url_of(obj: Model | type[Model], page: str = "change") -> str:
    args = [] if page in {"add", "changelist"} else [quote(obj.pk)]
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{page}", args=args)


def messages_of(response: Any) -> list[str]:
    """``level: text`` of what the page says, or the page it leads to will say."""
    return [f"{message.level_tag}: {message}" for message in get_messages(response.wsgi_request)]


def text_of(response: Any) -> str:
    return unescape(response.content.decode())


def form_of(response: Any) -> dict[str, Any]:
    """What a browser would send back if nothing was typed, without the inlines."""
    return _values(response.context["adminform"].form)


def formset_of(response: Any) -> dict[str, Any]:
    """The same for the page's first inline."""
    formset = response.context["inline_admin_formsets"][0].formset
    values = _values(formset.management_form)
    for form in formset.forms:
        values |= _values(form)
    return values


def _values(form: Any) -> dict[str, Any]:
    values = {form.add_prefix(name): form[name].value() for name in form.fields}
    return {
        name: str(getattr(value, "pk", value))
        for name, value in values.items()
        if value not in (None, False)
    }


class Pages:
    def __init__(self, client: Client) -> None:
        self.client = client

    def list(self, model: type[Model], **query: str) -> Any:
        return self.client.get(url_of(model, "changelist"), query)

    def page(self, obj: Model | type[Model], page: str = "change") -> Any:
        return self.client.get(url_of(obj, page))

    def post(self, obj: Model | type[Model], page: str = "change", **values: Any) -> Any:
        return self.client.post(url_of(obj, page), values)

    def act(self, action: str, *objects: Model, **values: Any) -> Any:
        """Choose the rows in the list and run the action."""
        chosen = {"action": action, "_selected_action": [obj.pk for obj in objects], "index": "0"}
        return self.client.post(url_of(objects[0], "changelist"), {**chosen, **values})
