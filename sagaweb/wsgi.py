"""Plain HTTP for servers without ASGI: pages work, the live socket does not."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaweb.settings")

application = get_wsgi_application()
