"""Messages of a broker, taken as they came.

kombu unpacks what a header calls compressed, whatever comes of it: 300 kB become
300 MB, and a name that it does not know breaks the connection, again at every
redelivery. On Redis a message is whatever somebody pushed into a list. Here
nothing is unpacked, and what is no message is told from an error of the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import kombu

_BODY_ENCODINGS = (None, "", "base64", "utf-8")


class NoMessageError(ValueError):
    """What was taken from a list of Redis is no message. It is gone from there."""


def open_channel(connection: kombu.Connection) -> Any:
    """Return a channel whose messages are as they came."""
    channel = connection.channel()
    channel.Message = _as_they_came(channel.Message)
    return channel


def _as_they_came(kind: Any) -> Any:
    class AsItCame(kind):  # type: ignore[misc]
        """A message that unpacks nothing."""

        def __init__(self, payload: Any, *rest: Any, **named: Any) -> None:
            if hasattr(payload, "properties"):  # AMQP
                headers = payload.properties.get("application_headers")
            else:
                headers = _checked(payload).get("headers")
            if headers:
                headers.pop("compression", None)
            super().__init__(payload, *rest, **named)

    return AsItCame


def _checked(payload: Any) -> dict[str, Any]:
    """Return the envelope of a message on Redis.

    Raises:
        NoMessageError: it is none that could be delivered, and delivered again.
    """
    match payload:
        case {
            "properties": {"delivery_tag": str(), "delivery_info": {"exchange": str(), "routing_key": str()}} as said,
            **rest,
        } if (
            isinstance(rest.get("body"), str | None)
            and isinstance(rest.get("headers"), dict | None)
            and said.get("body_encoding") in _BODY_ENCODINGS
        ):
            checked: dict[str, Any] = payload
            return checked
    raise NoMessageError
