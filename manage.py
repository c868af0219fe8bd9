#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from crewship.domain.errors import DataDirUnusable, SettingsError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crewship.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except (SettingsError, DataDirUnusable) as error:
        sys.exit(f"{error}\n{error.error_hint}")


if __name__ == "__main__":
    main()
