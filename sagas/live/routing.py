"""Addresses of the sockets, and who may knock: our own pages only."""

from __future__ import annotations

from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import CookieMiddleware
from django.urls import path, re_path

from sagas.live import consumers

application = AllowedHostsOriginValidator(
    CookieMiddleware(
        URLRouter(
            [
                path("ws/runs/", consumers.RunsConsumer.as_asgi()),
                path("ws/runs/<uuid:run_id>/", consumers.RunConsumer.as_asgi()),
                re_path(r"", consumers.refuse),  # type: ignore[arg-type]  # an ASGI application, not a view
            ]
        )
    )
)
