"""Users, workspaces with their members, and API tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from crewship.admin.pages import OperatorAdmin, ReadOnlyAdmin, rows_of
from crewship.crews.models import Crew
from crewship.domain.roles import Role
from crewship.workspaces.audit import AuditAction
from crewship.workspaces.models import ApiToken, Membership, User, Workspace
from crewship.workspaces.services import change_role, note_member, remove_member
from crewship.workspaces.tokens import revoke_token
from provisioning.deletion import delete_workspace
from provisioning.models import ProvisionJob


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]  # takes no argument at run time
    class Meta:
        model = User
        fields = ("email", "name")

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        return email.lower()


class MembershipsOfUser(admin.TabularInline):  # type: ignore[type-arg]  # as above
    """To look at; members are changed on the workspace's page, where its last owner is seen."""

    model = Membership
    fields = readonly_fields = ("workspace", "role", "created_at")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(OperatorAdmin[User], DjangoUserAdmin):  # type: ignore[type-arg]  # as above
    """No delete: a deactivated user can't sign in and his tokens are refused, while the jobs he
    asked for keep his name and no workspace loses its last owner."""

    add_form = NewUserForm
    list_display = ("email", "name", "is_active", "is_superuser", "last_login", "created_at")
    list_filter = ("is_superuser", "is_active")
    search_fields = ("email", "name")
    ordering = ("email",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (
            "Access",
            {
                "fields": ("is_active", "is_superuser"),
                "description": "A superuser is an operator: the admin, with every workspace in it. "
                "What a member may do is the role in each workspace.",
            },
        ),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),
    )
    inlines = [MembershipsOfUser]

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        return self.inlines if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = obj.is_superuser  # the flag that Django's and django-rq's own views ask
        super().save_model(request, obj, form, change)


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]  # as above
    class Meta:
        model = Membership
        fields = ("user", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:  # another user is another membership
            self.fields["user"].disabled = True


class MembershipFormSet(BaseInlineFormSet):  # type: ignore[type-arg]  # as above
    def clean(self) -> None:
        """The rows together keep an owner. The services look again, in the transaction."""
        super().clean()
        kept = [
            form.cleaned_data.get("role")
            for form in self.forms
            if form.is_valid() and not form.cleaned_data.get("DELETE")
        ]
        if not any(self.errors) and Role.OWNER not in kept:
            raise ValidationError("A workspace keeps at least one owner.", code="last_owner")


class Members(admin.TabularInline):  # type: ignore[type-arg]  # as above
    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    autocomplete_fields = ("user",)
    fields = ("user", "role", "created_at")
    readonly_fields = ("created_at",)
    extra = 0
    verbose_name = "member"
    verbose_name_plural = "members"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "workspace").order_by("id")


@admin.register(Workspace)
class WorkspaceAdmin(OperatorAdmin[Workspace]):
    list_display = ("slug", "name", "starts_per_minute", "running_limit", "created_at")
    search_fields = ("slug", "name", "=id")
    ordering = ("slug",)
    readonly_fields = ("id", "last_turn_at", "created_at")
    inlines = [Members]
    fieldsets = (
        (None, {"fields": ("slug", "name", "id", "created_at")}),
        (
            "Limits",
            {
                "fields": ("starts_per_minute", "running_limit", "last_turn_at"),
                "description": "An empty limit is the installation's.",
            },
        ),
    )

    def page_links(self, obj: Workspace) -> list[tuple[str, str]]:
        return [
            ("Crews", rows_of(Crew, workspace__id__exact=obj.pk)),
            ("Jobs", rows_of(ProvisionJob, workspace__id__exact=obj.pk)),
        ]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Members change through the services; who becomes an owner does so before one leaves."""
        formset.save(commit=False)
        for membership in formset.new_objects:
            membership.save()
            note_member(AuditAction.MEMBER_ADDED, membership, role=membership.role)
        changed = [membership for membership, _ in formset.changed_objects]
        for membership in sorted(changed, key=lambda membership: Role(membership.role).rank):
            stored = Membership.objects.get(pk=membership.pk)
            change_role(membership=stored, role=Role(membership.role), actor_role=Role.OWNER)
        for membership in formset.deleted_objects:
            stored = Membership.objects.get(pk=membership.pk)
            remove_member(membership=stored, actor_role=Role.OWNER)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Counts instead of every row: a workspace may have a million events."""
        workspaces = list(objs)
        counts = {
            "workspaces": len(workspaces),
            "members": Membership.objects.filter(workspace__in=workspaces).count(),
            "tokens": ApiToken.objects.filter(workspace__in=workspaces).count(),
            "crews": Crew.objects.filter(workspace__in=workspaces).count(),
            "jobs": ProvisionJob.objects.filter(workspace__in=workspaces).count(),
        }
        return [f"{workspace} and all that is in it" for workspace in workspaces], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Workspace) -> None:
        delete_workspace(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Workspace]) -> None:
        for workspace in queryset:
            delete_workspace(workspace)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin[ApiToken]):
    """Made by their users, whose secret it is; revoked here. The digest is shown nowhere."""

    list_display = ("name", "user", "workspace", "role", "is_live", "expires_at", "last_used_at")
    list_select_related = ("user", "workspace")
    search_fields = ("name", "user__email", "=id")
    ordering = ("-id",)
    fields = (
        "id",
        "name",
        "user",
        "workspace",
        "role",
        "is_live",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    actions = ["revoke"]
    page_verbs = ("revoke",)

    @admin.display(boolean=True, description="live")
    def is_live(self, token: ApiToken) -> bool:
        return (
            token.revoked_at is None and token.expires_at > timezone.now() and token.user.is_active
        )

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> HttpResponse | None:
        def verb(token: ApiToken) -> str:
            revoke_token(token)
            return "revoked"

        return self.for_each(request, queryset, verb)
