"""The dashboard's pages. Everything of a workspace is below /w/<slug>/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from crewship.dashboard import (
    agents,
    audit,
    crew,
    images,
    invitations,
    members,
    overview,
    ping,
    sign_in,
    tokens,
    verbs,
)

app_name = "dashboard"

of_workspace: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("live", overview.live_rows, name="live"),
    path("", include("crewship.dashboard.editor_urls")),
    path("crews/<slug:crew>/", crew.crew_page, name="crew"),
    path("crews/<slug:crew>/live", crew.live_crew, name="live-crew"),
    path("crews/<slug:crew>/provision", verbs.provision, name="provision"),
    path("crews/<slug:crew>/rebuild", verbs.rebuild, name="rebuild"),
    path("crews/<slug:crew>/cancel", verbs.cancel, name="cancel"),
    path("crews/<slug:crew>/restart-agents", verbs.restart, name="restart-agents"),
    path("crews/<slug:crew>/freshness", images.freshness, name="freshness"),
    path("crews/<slug:crew>/refresh", images.refresh, name="refresh"),
    path("crews/<slug:crew>/agents", agents.create, name="create-agent"),
    path("crews/<slug:crew>/agents/<slug:agent>", agents.agent_page, name="agent"),
    path("crews/<slug:crew>/agents/<slug:agent>/edit", agents.edit, name="edit-agent"),
    path("crews/<slug:crew>/agents/<slug:agent>/restart", agents.restart, name="restart-agent"),
    path("crews/<slug:crew>/agents/<slug:agent>/start", agents.start, name="start-agent"),
    path("crews/<slug:crew>/agents/<slug:agent>/stop", agents.stop, name="stop-agent"),
    path("crews/<slug:crew>/agents/<slug:agent>/delete", agents.delete, name="delete-agent"),
    path("images", images.images, name="images"),
    path("images/delete", images.delete, name="delete-image"),
    path("members", members.members, name="members"),
    path("members/<str:member>/role", members.change, name="change-member"),
    path("members/<str:member>/remove", members.remove, name="remove-member"),
    path("invitations/<str:invitation>/revoke", members.revoke, name="revoke-invitation"),
    path("audit", audit.audit, name="audit"),
    path("tokens", tokens.tokens, name="tokens"),
    path("tokens/<str:token>/revoke", tokens.revoke, name="revoke-token"),
    path("jobs/<str:job>/events", crew.log_portion, name="log"),
]

urlpatterns = [
    path("", sign_in.start, name="start"),
    path("sign-in", sign_in.sign_in, name="sign-in"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("password", sign_in.change_password, name="password"),
    path("invite/<str:secret>", invitations.accept_page, name="invite"),
    path("ping", ping.ping, name="ping"),
    path("theme", sign_in.choose_theme, name="theme"),
    path("w/<slug:workspace>/", include(of_workspace)),
]
