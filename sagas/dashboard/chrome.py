"""What the frame of every page needs: the section, the colours, how many runs need a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.shortcuts import redirect
from django.utils.functional import SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from sagas.queries import counts

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

THEMES = ("light", "dark")
THEME_COOKIE = "theme"
THEME_AGE_S = 400 * 86_400  # the longest that browsers keep a cookie
_SECTIONS = {
    "overview": "overview", "attention": "attention", "run": "runs", "step": "runs", "saga": "sagas",
    "service": "services", "event": "events",
}  # fmt: skip


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Add to every template's context. The count is read only where it is shown."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    match = request.resolver_match
    name = (match.url_name or "") if match else ""
    return {
        "theme": chosen if chosen in THEMES else "",
        "section": _SECTIONS.get(name.partition("-")[0], ""),
        "attention_count": SimpleLazyObject(counts.count_attention),
    }


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen colours in a cookie, so that the server draws them and nothing flashes."""
    chosen = request.POST.get("theme", "")
    back = request.POST.get("next", "/")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None) and urlsplit(back).path.startswith("/")
    answer = redirect(back if is_ours else "/")
    if chosen in THEMES:
        answer.set_cookie(THEME_COOKIE, chosen, max_age=THEME_AGE_S, samesite="Lax", httponly=True)
    else:
        answer.delete_cookie(THEME_COOKIE, samesite="Lax")
    return answer
