"""The admin's own door: as bounded as the dashboard's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm

from sagas.guard import bound_user_name


class AdminSignInForm(AdminAuthenticationForm):
    """Name and password; the name is no longer than a person's can be."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        bound_user_name(self)


if admin.site.login_form is None:  # a project may have a door of its own
    admin.site.login_form = AdminSignInForm
