"""Pages that make and change crews, below /w/<workspace>/."""

from __future__ import annotations

from django.urls import URLPattern, path

from crewship.dashboard import editor, editor_parts

urlpatterns: list[URLPattern] = [
    path("crews/new", editor.new_crew, name="new-crew"),
    path("crews/<slug:crew>/edit", editor.edit_crew, name="edit-crew"),
    path("crews/<slug:crew>/delete", editor.remove_crew, name="delete-crew"),
    path("editor/check", editor_parts.check_texts, name="editor-check"),
    path("editor/change", editor_parts.change_text, name="editor-change"),
    path("editor/features", editor_parts.list_features, name="editor-features"),
    path("editor/options", editor_parts.feature_options, name="editor-options"),
    path("editor/tools", editor_parts.list_tools, name="editor-tools"),
    path("editor/versions", editor_parts.tool_versions, name="editor-versions"),
    path("editor/plan", editor_parts.plan, name="editor-plan"),
]
