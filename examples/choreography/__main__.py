"""One service of the shop, as a process of its own, over the one way or the other.

    python -m choreography payments --database payments.sqlite3 --broker amqp://guest:guest@127.0.0.1:5672//
    python -m choreography payments --database payments.sqlite3 --api http://127.0.0.1:8000 --port 9001

With `--api`, SHOP_TOKEN is a token of an operator, and SHOP_SECRET the secret of the
subscription that posts to this port. Secrets do not stand on a command line, where
everybody on the machine reads them.
"""

from __future__ import annotations

import argparse
import os
import signal

from choreography import over_api, over_rabbitmq
from choreography.shop import SERVICES, Service


def main() -> None:
    """Be one service."""
    parser = argparse.ArgumentParser(prog="choreography", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SERVICES)
    parser.add_argument("--database", required=True, help="a file; made when it is not there")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--broker", help="address of RabbitMQ")
    way.add_argument("--api", help="address of Sagaweb")
    parser.add_argument("--port", type=int, help="with --api: where events are heard")
    options = parser.parse_args()
    token, secret = os.environ.get("SHOP_TOKEN", ""), os.environ.get("SHOP_SECRET", "")
    if options.api and not (options.port and token and secret):
        parser.error("--api needs --port, SHOP_TOKEN and SHOP_SECRET")
    service = Service(options.name, options.database)
    signal.signal(signal.SIGTERM, service.stop)
    if options.broker:
        over_rabbitmq.work(service, options.broker)
    else:
        over_api.work(service, options.api.rstrip("/"), token, options.port, secret)


if __name__ == "__main__":
    main()
