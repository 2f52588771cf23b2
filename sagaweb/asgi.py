"""The web: HTTP by Django, sockets by Channels, one tail task per process."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaweb.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # loads the apps, which the imports below need

from channels.routing import ProtocolTypeRouter  # noqa: E402

from sagas.api.bound import with_bounded_bodies  # noqa: E402
from sagas.guard import with_readable_headers  # noqa: E402
from sagas.live import routing, tail  # noqa: E402
from sagas.live.lifespan import with_lifespan  # noqa: E402

protocols = ProtocolTypeRouter(
    {
        "http": with_readable_headers(with_bounded_bodies(http)),  # type: ignore[arg-type]  # the stubs and we name its callbacks differently
        "websocket": routing.application,
    }
)
application = with_lifespan(protocols, tail=tail.follow)
