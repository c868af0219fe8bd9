"""The dashboard's pages. Everything of a workspace is below /w/<slug>/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from crewship.dashboard import crew, overview, sign_in, verbs

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
    path("jobs/<str:job>/events", crew.log_portion, name="log"),
]

urlpatterns = [
    path("", sign_in.start, name="start"),
    path("sign-in", sign_in.sign_in, name="sign-in"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("password", sign_in.change_password, name="password"),
    path("theme", sign_in.choose_theme, name="theme"),
    path("w/<slug:workspace>/", include(of_workspace)),
]
