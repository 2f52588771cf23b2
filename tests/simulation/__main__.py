"""Run one case alone, and tell its story: `python -m tests.simulation 'order/success@17+45'`."""

from __future__ import annotations

import os
import sys

import django


def main(case: str) -> int:
    """Return 0 when nothing is wrong with the case."""
    from sagas.models import JournalEntry
    from tests.simulation.choreographies import CHOREOGRAPHIES
    from tests.simulation.explore import begin, find_script, run_case
    from tests.simulation.outside import ReactingWorld
    from tests.simulation.world import a_world

    name, _, points = case.partition("@")
    deaths = tuple(int(point) for point in points.split("+") if point)
    is_reacting = name.partition("/")[0] in CHOREOGRAPHIES
    with a_world(ReactingWorld, tuple(CHOREOGRAPHIES)) if is_reacting else a_world() as world:
        script = find_script(name)
        begin(world, script)
        for life, point in enumerate((*deaths, 0), start=1):
            world.machine.trace = []
            world.live(point)
            print(f"--- life {life}")
            for number, what in enumerate(world.machine.trace, start=1):
                print(f"{number:5} {' '.join(what.split())}")
        world.machine.trace = None
        print("--- journal")
        for entry in JournalEntry.objects.order_by("sequence"):
            print(f"{entry.sequence:5} {entry.at:%H:%M:%S.%f} {entry.kind} {entry.data}")
        found = run_case(world, script, deaths)
        print("--- verdict\n" + ("\n".join(found) or "nothing is wrong"))
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    sys.exit(main(sys.argv[1]))
