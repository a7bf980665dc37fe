"""Make good what killed runs have left: finished packages are taken over, the rest is removed."""

from gentoomuch_portage.containers import boxes, building, litter
from gentoomuch_portage.plan import Plan
from gentoomuch_portage.settings import Settings


def sweep(settings: Settings, plan: Plan) -> int:
    """Look after dead boxes.

    Args:
        plan: whose PKGDIR gets the packages; one is for all profiles.

    Returns:
        How many packages were saved.
    """
    saved = 0
    for place in boxes.dead(settings.cache):
        saved += len(building.take_over(plan, place))
        litter.remove(place)
        boxes.remove(place)
    return saved
