"""The dashboard's pages. Everything of a workspace is below /w/<slug>/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from crewship.dashboard import overview, sign_in

app_name = "dashboard"

of_workspace: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("", include("crewship.dashboard.editor_urls")),
]

urlpatterns = [
    path("", sign_in.start, name="start"),
    path("sign-in", sign_in.sign_in, name="sign-in"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("password", sign_in.change_password, name="password"),
    path("theme", sign_in.choose_theme, name="theme"),
    path("w/<slug:workspace>/", include(of_workspace)),
]
