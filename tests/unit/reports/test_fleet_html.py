# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of ``fleet --html``: its charts are valid SVG, with every value, and no text becomes markup."""

from xml.etree import ElementTree

import pytest

from gentoomuch_portage.portage_adapter.root_state import Outdated
from gentoomuch_portage.reports import fleet_html
from gentoomuch_portage.reports.fleet import Member

SVG = "{http://www.w3.org/2000/svg}"
OLD = (Outdated(cpv="a/b-1", newest="a/b-2", behind=1), Outdated(cpv="a/c-1", newest="", behind=0))
HOSTILE = "</title><script>alert(1)</script>\"'&"


def charts(*members: Member) -> list[ElementTree.Element]:
    page = fleet_html.format_page(members, 0)
    return [
        ElementTree.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg"{part.partition("</svg>")[0]}</svg>')
        for part in page.split("<svg")[1:]
    ]


def bars(chart: ElementTree.Element) -> dict[str, float]:
    """Tooltip -> width of a bar."""
    rectangles = [rectangle for rectangle in chart.iter(f"{SVG}rect") if rectangle.find(f"{SVG}title") is not None]
    return {rectangle.findtext(f"{SVG}title", ""): float(rectangle.get("width", "")) for rectangle in rectangles}


def test_bars_are_as_wide_as_their_values():
    first = Member(profile="desktop", outdated=OLD, binpkgs_available=100, rejected=25, built=30, from_binpkg=10)
    second = Member(profile="router", binpkgs_available=50, rejected=50)

    outdated, merged, binpkgs = map(bars, charts(first, second))

    assert outdated.keys() == {"desktop: 1 newer version", "desktop: 1 removed"}
    assert merged["desktop: 30 built"] == pytest.approx(3 * merged["desktop: 10 from binpkg"], abs=0.2)
    assert binpkgs["router: 50 rejected"] == pytest.approx(2 * binpkgs["desktop: 25 rejected"], abs=0.2)
    assert "router: 0 usable" not in binpkgs


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 99, 123456])
def test_an_axis_has_at_most_five_numbers_within_the_chart(count):
    [_, _, chart] = charts(Member(profile="lab", binpkgs_available=count))

    numbers = [text for text in chart.iter(f"{SVG}text") if text.get("text-anchor") == "middle" and text.text.isdigit()]
    assert 1 <= len({number.text for number in numbers}) <= 6
    assert all(0 < float(number.get("x")) < 640 for number in numbers)


def test_names_of_profiles_and_packages_do_not_become_markup():
    member = Member(
        profile=HOSTILE,
        root=HOSTILE,
        cpu=HOSTILE,
        outdated=(Outdated(cpv=HOSTILE, newest=HOSTILE, behind=1),),
        binpkgs_available=1,
    )

    page = fleet_html.format_page([member, Member(profile="b", error=HOSTILE)], 0)

    assert "<script" not in page
    assert len(charts(member)) == 3


def test_a_fleet_without_a_usable_profile_has_no_charts():
    assert charts(Member(profile="a", error="broken")) == []
