"""The editor's form: what a browser posts becomes values of a crew, its texts byte for byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.text import slugify

from crewship.crews.models import Crew
from crewship.crews.services import FIELDS, TEXTS
from crewship.devcontainer.config import MAX_TEXT_BYTES
from crewship.devcontainer.newlines import to_lf, with_newlines_of

PLAIN_FIELDS: Final = tuple(name for name in FIELDS if name not in TEXTS)
CRLF_FILE: Final = "devcontainer_crlf"  # set when a file with CRLF was loaded into the text area


class CodeArea(forms.Textarea):
    def __init__(self, name: str, rows: int) -> None:
        super().__init__(
            {
                "rows": rows,
                "class": "code-text",
                "spellcheck": "false",
                "autocapitalize": "off",
                "autocomplete": "off",
                "wrap": "off",
                "aria-describedby": f"{name}-keys",
            }
        )


def _code(name: str, rows: int, label: str, help_text: str = "") -> forms.CharField:
    area = CodeArea(name, rows)
    return forms.CharField(
        required=False, strip=False, widget=area, label=label, help_text=help_text
    )


class CrewForm(forms.Form):
    """Shapes only: what a crew may be is checked by the services, all at once."""

    name = forms.CharField(max_length=100, widget=forms.TextInput({"autocomplete": "off"}))
    slug = forms.CharField(
        max_length=50,
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "mono"}),
        help_text="Its name in URLs and on the command line.",
    )
    devcontainer_config = _code("devcontainer_config", 22, "devcontainer.json")
    mise_config = _code("mise_config", 7, "mise config", "JSON or mise.toml; empty: no mise tools.")
    lock_config = _code(
        "lock_config",
        7,
        "devcontainer-lock.json",
        "Features resolve by its digests; empty: by their tags, at each build.",
    )
    runtime_image = forms.CharField(
        max_length=512,
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "mono"}),
        label="Runtime image",
        help_text="Wins over the text's image. Mostly empty.",
    )
    auto_provision = forms.BooleanField(
        required=False, label="Provision by itself when the config changes"
    )
    agent_memory_mb = forms.IntegerField(
        required=False, min_value=16, max_value=2**31 - 1, label="Memory, MB"
    )
    agent_cpus = forms.FloatField(
        required=False,
        min_value=0.05,
        max_value=1024,
        label="Processors",
        widget=forms.NumberInput({"step": "any"}),
    )
    agent_pids = forms.IntegerField(
        required=False, min_value=16, max_value=2**31 - 1, label="Processes"
    )

    use_required_attribute = False  # the service says what is missing, with everything else


def initial_of(crew: Crew) -> dict[str, Any]:
    """The form's first values. Text areas know LF only; ``values_of`` gives the others back."""
    plain = {name: getattr(crew, name) for name in PLAIN_FIELDS}
    return plain | {name: to_lf(getattr(crew, name) or "") for name in TEXTS}


def posted_texts(data: Mapping[str, str]) -> dict[str, str]:
    """The texts as the text areas show them."""
    return {name: to_lf(data.get(name) or "") for name in TEXTS}


def values_of(form: CrewForm, crew: Crew) -> dict[str, Any]:
    """What to save; call it on a valid form. Line endings are those of the crew's stored texts
    where nothing was typed, or of the file that the text came from."""
    values = dict(form.cleaned_data)
    values["slug"] = values["slug"] or suggested_slug(values["name"])
    for name in TEXTS:
        stored = getattr(crew, name) or ""
        if name == "devcontainer_config" and form.data.get(CRLF_FILE):
            stored = "\r\n"
        values[name] = with_newlines_of(stored, values[name])
    return values


def suggested_slug(name: str) -> str:
    return slugify(name)[:50].strip("-_")


def state_of(crew: Crew) -> str:
    """Equal for a crew that nobody edited in between; 32 hex digits."""
    text = json.dumps([getattr(crew, name) for name in FIELDS])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def text_of_file(body: bytes) -> str:
    """The text of an uploaded devcontainer.json, with its BOM and line endings.

    Raises ValueError with a reason that can be shown.
    """
    if len(body) > MAX_TEXT_BYTES:
        raise ValueError(f"The file has more than the {MAX_TEXT_BYTES} bytes that are possible.")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("The file is no UTF-8 text.") from None
