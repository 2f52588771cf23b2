"""The body of an answer as it arrives: unpacked, and bounded in what it is and in what it was packed into.

Packed bytes are bounded too: some never come to anything, and are sent for ever.
"""

from __future__ import annotations

import zlib

from sagas.core.limits import PAYLOAD_BYTES_MAX
from sagas.participants.http_answer import TOO_LARGE

ENCODINGS = "gzip, deflate"  # those that are asked for
PACKED_BYTES_MAX = PAYLOAD_BYTES_MAX + 64 * 1024  # what cannot be packed any smaller grows a little
_PLAIN, _GZIP, _DEFLATE = frozenset({"", "identity"}), frozenset({"gzip", "x-gzip"}), "deflate"


class Body:
    """Takes bytes as they come; `fault` says, as soon as it is known, why no body will come of them."""

    def __init__(self, encoding: str) -> None:
        """Begin with nothing.

        Args:
            encoding: the header `Content-Encoding`.
        """
        self._kind = encoding.strip().lower()
        self._unpacker: zlib._Decompress | None = None
        self._is_done = False
        self._taken = 0  # bytes, as they came
        self._unpacked = bytearray()
        is_known = self._kind in _PLAIN or self._kind in _GZIP or self._kind == _DEFLATE
        self.fault = "" if is_known else "is packed in a way that was not asked for"

    def take(self, chunk: bytes) -> None:
        """Add what came next."""
        self._taken += len(chunk)
        if self.fault:
            return
        if self._kind in _PLAIN:
            self._unpacked += chunk
        else:
            try:
                self._unpack(chunk)
            except zlib.error:
                self.fault = "cannot be unpacked"
        if len(self._unpacked) > PAYLOAD_BYTES_MAX or self._taken > PACKED_BYTES_MAX:
            self.fault = TOO_LARGE

    def whole(self) -> tuple[bytes, str]:
        """Return the body, now that nothing more comes, and why it is none."""
        if not self.fault and self._unpacker is not None:
            self.fault = "ends in the middle"
        return (b"", self.fault) if self.fault else (bytes(self._unpacked), "")

    def _unpack(self, data: bytes) -> None:
        while data:
            if self._is_done:
                raise zlib.error
            if self._unpacker is None:
                self._unpacker = zlib.decompressobj(wbits=self._window(data[0]))
            self._unpacked += self._unpacker.decompress(data, PAYLOAD_BYTES_MAX + 1 - len(self._unpacked))
            if len(self._unpacked) > PAYLOAD_BYTES_MAX or not self._unpacker.eof:
                return
            data, self._unpacker = self._unpacker.unused_data, None
            self._is_done = self._kind == _DEFLATE  # gzip may have several members, one after the other

    def _window(self, first: int) -> int:
        """Return what zlib needs to know. Many servers send `deflate` without the frame that RFC 9110 wants."""
        if self._kind in _GZIP:
            return 16 + zlib.MAX_WBITS
        return zlib.MAX_WBITS if first & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
