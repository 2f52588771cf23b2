"""Coming in and going out: password, one-time link, sign-out."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import auth
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from sagas.access import find_sign_in_link, has_role, redeem_sign_in_link
from sagas.guard import bound_user_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from sagas.core.vocabulary import Role

BACKEND = "django.contrib.auth.backends.ModelBackend"


def needs_role(needed: Role) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Let a view be seen by people of this role and those above: others sign in first, or get 403."""

    def guard(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not has_role(request.user, needed):
                message = f"This needs the role {needed.value}."
                raise PermissionDenied(message)
            return view(request, *args, **kwargs)

        return guarded

    return guard


class SignInForm(AuthenticationForm):
    """Name and password; the name is no longer than a person's can be."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        bound_user_name(self)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SignIn(LoginView):
    """Name and password. `next` is followed only to this very site (Django checks it); five wrong tries lock."""

    template_name = "sagas/access/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


sign_in = SignIn.as_view()


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button; pressing it uses the link up.

    A GET changes nothing, so a preview or a virus scanner that follows the
    link before the person does not spend it.
    """
    user = redeem_sign_in_link(token) if request.method == "POST" else find_sign_in_link(token)
    if user is None:
        return render(request, "sagas/access/sign_in_link.html", {"person": None}, status=410)
    if request.method != "POST":
        return render(request, "sagas/access/sign_in_link.html", {"person": user})
    auth.login(request, user, backend=BACKEND)  # type: ignore[arg-type]  # any user model will do
    return redirect("sagas:overview")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session; open pages notice within seconds and say so."""
    auth.logout(request)
    return redirect("sagas:sign-in")
