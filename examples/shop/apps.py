"""The demo shop as a Django app."""

from __future__ import annotations

from pathlib import Path

from django.apps import AppConfig

STOCK = {"teapot": 1_000_000, "cup": 1_000_000, "moon-rock": 0}  # moon rocks are always sold out


class ShopConfig(AppConfig):
    """Orders, stock, payments and parcels: something for the demo saga to do and undo."""

    name = "shop"
    verbose_name = "Demo shop"
    default_auto_field = "django.db.models.BigAutoField"

    def demo_definitions(self) -> list[str]:
        """Return the sources of the demo sagas."""
        return [path.read_text(encoding="utf-8") for path in sorted(Path(self.path).glob("*.yaml"))]

    def load_demo(self) -> None:
        """Fill the shelves that are not there yet; what was sold stays sold."""
        from shop.models import StockItem

        for sku, on_hand in STOCK.items():
            StockItem.objects.get_or_create(sku=sku, defaults={"on_hand": on_hand})
