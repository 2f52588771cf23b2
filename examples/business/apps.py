"""The example companies as a Django app."""

from __future__ import annotations

from pathlib import Path

from django.apps import AppConfig

CUSTOMERS = {"alice": 1_000_000_00, "bob": 1_000_000_00, "carol": 50_00}  # cents; carol has little
POINTS = {"points:alice": 12_000, "points:bob": 500}
HOUSE = (
    "airline", "bank", "broker", "car-rental", "clearing", "costs", "fees", "hotel", "landlord", "merchant",
    "payroll", "points:pool", "receivables", "revenue", "supplier", "tax", "wallet:card",
)  # fmt: skip
SUPPLIES = {
    "flight:SW100": 1_000_000, "hotel:grand": 1_000_000, "hotel:full": 0, "car:small": 1_000_000,
    "sku:teapot": 1_000_000, "sku:cup": 1_000_000, "sku:moon-rock": 0,
    "share:ACME": 1_000_000, "courier": 1_000_000, "licence": 1_000_000, "laptop": 1_000_000, "voucher": 1_000_000,
    "court": 1_000_000,
}  # fmt: skip


class BusinessConfig(AppConfig):
    """Accounts, supplies and records for sagas to change and put right again."""

    name = "business"
    verbose_name = "Example processes"
    default_auto_field = "django.db.models.BigAutoField"

    def definitions(self) -> list[Path]:
        """Return the files of the example sagas, by name."""
        return sorted((Path(self.path) / "definitions").glob("*.yaml"))

    def load_demo(self) -> None:
        """Open the accounts and fill the supplies that are not there yet; what was spent stays spent."""
        from business.models import Account, Supply

        for name, opening in (CUSTOMERS | POINTS).items():
            Account.objects.get_or_create(name=name, defaults={"opening": opening, "balance": opening})
        for name in HOUSE:
            Account.objects.get_or_create(name=name, defaults={"opening": 0, "balance": 0, "is_house": True})
        for name, total in SUPPLIES.items():
            Supply.objects.get_or_create(name=name, defaults={"total": total, "free": total})
