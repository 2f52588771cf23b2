"""Addresses of the sockets, and who may knock: our own pages only."""

from __future__ import annotations

from channels.routing import URLRouter
from channels.sessions import CookieMiddleware
from django.urls import path, re_path

from sagas.live import consumers
from sagas.live.origin import with_own_pages_only

application = with_own_pages_only(
    CookieMiddleware(
        URLRouter(
            [
                path("ws/overview/", consumers.OverviewConsumer.as_asgi()),
                path("ws/runs/", consumers.RunsConsumer.as_asgi()),
                path("ws/runs/<uuid:run_id>/", consumers.RunConsumer.as_asgi()),
                re_path(r"", consumers.refuse),  # type: ignore[arg-type]  # an ASGI application, not a view
            ]
        )
    )
)
