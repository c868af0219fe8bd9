"""What all pages of the admin share: errors as messages, verbs on lists and pages, read-only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crewship.domain.errors import CapacityExceeded, CrewshipError, Unavailable
from provisioning.models import ProvisionJob

M = TypeVar("M", bound=Model)


def show_error(request: HttpRequest, error: CrewshipError, about: object = "") -> None:
    """A message with the error's text, code and hint, and the crews it names."""
    text = f"“{about}”: {error.message}" if about else error.message
    crews = ", ".join(error.extra.get("crew_ids", ()))
    parts = [text, f"[{error.error_code}]", error.error_hint, f"Crews: {crews}." if crews else ""]
    messages.error(request, " ".join(part for part in parts if part))


def rows_of(model: type[Model], **filters: str) -> str:
    """The URL of a list with only the rows that the look-ups let through."""
    meta = model._meta
    query = QueryDict(mutable=True)
    query.update(filters)
    return f"{reverse(f'admin:{meta.app_label}_{meta.model_name}_changelist')}?{query.urlencode()}"


def page_url(obj: Model) -> str:
    meta = obj._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[quote(obj.pk)])


def link(obj: Model | None, text: object = "") -> SafeString | str:
    """A link to the object's page in the admin, ``-`` for None."""
    return format_html('<a href="{}">{}</a>', page_url(obj), text or obj) if obj else "-"


def job_link(job_id: str) -> SafeString | str:
    """A link to a job that a row names by its id alone: the job may be gone with its crew."""
    return link(ProvisionJob(pk=job_id)) if job_id else "-"


def pretty(value: object) -> SafeString:
    """JSON for reading, with its keys in the order in which they are stored."""
    return format_html(
        '<pre class="crewship-code">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False)
    )


# ModelAdmin takes no type argument at run time.
class OperatorAdmin(admin.ModelAdmin, Generic[M]):  # type: ignore[type-arg]
    """Typed errors of services become messages, never a 500; verbs are list actions that the
    page of an object offers too (``page_verbs``)."""

    change_form_template = "admin/crewship/change_form.html"
    list_per_page = 50
    show_full_result_count = False
    page_verbs: tuple[str, ...] = ()

    class Media:
        css = {"all": ["crewship/admin.css"]}

    def page_links(self, obj: M) -> Iterable[tuple[str, str]]:
        """(label, URL) of what belongs to the object."""
        return ()

    def get_page_verbs(self, obj: M) -> tuple[str, ...]:
        """Names of the actions that make sense for the object as it is now."""
        return self.page_verbs

    def for_each(
        self, request: HttpRequest, objects: QuerySet[M], verb: Callable[[M], str]
    ) -> HttpResponse | None:
        """Does the verb to each and shows its text or its error; stops where going on is useless.

        Returns the way back to the object's page when its button was pressed there.
        """
        chosen = list(objects)
        for obj in chosen:
            name = str(obj)
            try:
                done = verb(obj)
            except (CapacityExceeded, Unavailable) as err:
                show_error(request, err, name)
                break
            except CrewshipError as err:
                show_error(request, err, name)
            else:
                self.log_change(request, obj, done)
                messages.success(request, f"“{name}”: {done}.")
        if not chosen or "_page" not in request.POST:
            return None
        if self.get_queryset(request).filter(pk=chosen[0].pk).exists():
            return redirect(page_url(chosen[0]))
        return None

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: Django's template context
    ) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except CrewshipError as err:
            show_error(request, err)
            return redirect(request.get_full_path())

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],  # Any: Django's template context
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: M | None = None,
    ) -> HttpResponse:
        if obj is not None:
            actions = self.get_actions(request)
            labels = {name: found[2] for name, found in actions.items() if found}
            context["page_links"] = self.page_links(obj)
            context["page_verbs"] = [(name, labels[name]) for name in self.get_page_verbs(obj)]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,  # Any: Django's template context
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except CrewshipError as err:
            show_error(request, err)
            return redirect(request.get_full_path())

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # Any: Django's template context
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except CrewshipError as err:
            show_error(request, err)
            return redirect(request.get_full_path())


class ReadOnlyAdmin(OperatorAdmin[M]):
    """Rows that the machine writes: to look at, and to act on through verbs only."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
