# SPDX-License-Identifier: GPL-2.0-or-later
"""The site: Sphinx reads docs/*.md by MyST and writes HTML in furo's look; ``tox -e docs`` builds it."""

from pathlib import Path

about: dict[str, str] = {}
exec((Path(__file__).parent.parent / "gentoomuch_portage/__init__.py").read_text(encoding="utf-8"), about)

project = "gentoomuch-portage"
author = "the authors of gentoomuch-portage"
release = about["__version__"]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

# Headings down to the third are named as on GitHub, so that one link is right in both places.
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
html_search_scorer = str(Path(__file__).parent / "search_scorer.js")
