"""The product and the browser: each started once, and only for tests that ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.browsing import Product, Visitor, chromium
from tests.acceptance.mixed import Mixed
from tests.running import new_place


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Start everything with the one command of the README."""
    made = Product(tmp_path_factory.mktemp("product"))
    yield made
    made.running.close()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Any]:
    """Start Chromium; ended with the module, so that no later test finds its event loop running."""
    with chromium(chromium_path) as started:
        yield started


@pytest.fixture
def visit(browser: Any, product: Product) -> Iterator[Callable[..., Visitor]]:
    """Open windows. After each test no page may have complained, of the security policy or of anything else."""
    if product.session is None:
        first = Visitor(browser, product)
        first.page.goto(product.sign_in_url)
        first.page.click("main button")
        product.session = first.context.storage_state()
        first.context.close()
    visitors: list[Visitor] = []

    def open_window(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, product, **({"storage_state": product.session} | options)))
        return visitors[-1]

    yield open_window
    complaints = [line for visitor in visitors for line in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert not complaints


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[Mixed]:
    """Make a database with the mixed sagas; every process of the test is ended before it goes away."""
    with new_place(tmp_path) as place, ExitStack() as stack:
        yield Mixed(place, stack)
