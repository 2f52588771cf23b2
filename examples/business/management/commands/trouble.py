"""`manage.py trouble`: let a step of an example go wrong."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from business.models import Trouble


class Command(BaseCommand):
    help = "Let a step of an example saga go wrong for one case, or (mode `none`) no more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ref", help="the case, such as the order's number in the run's input")
        parser.add_argument("half", help="a step, or `step.compensation`")
        parser.add_argument("mode", choices=[*Trouble.MODES, "none"])
        parser.add_argument(
            "--times",
            type=int,
            choices=range(101),
            default=0,
            metavar="N",
            help="at how many of the first attempts, up to 100 (default 0: at all)",
        )

    def handle(self, *_args: Any, ref: str, half: str, mode: str, times: int, **_options: Any) -> None:
        if mode == "none":
            Trouble.objects.filter(ref=ref, half=half).delete()
        else:
            Trouble.objects.update_or_create(ref=ref, half=half, defaults={"mode": mode, "times": times})
        self.stdout.write(f"{half} of {ref}: {mode}")
