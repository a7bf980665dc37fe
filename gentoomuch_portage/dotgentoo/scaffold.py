# SPDX-License-Identifier: GPL-2.0-or-later
"""Create a .gentoo directory for a project, with an ebuild for its build system."""

import datetime
from pathlib import Path

from gentoomuch_portage import fs
from gentoomuch_portage.dotgentoo.detect import DetectedProject, detect_project
from gentoomuch_portage.dotgentoo.errors import bad_package, folder_exists
from gentoomuch_portage.dotgentoo.layout import NAME
from gentoomuch_portage.dotgentoo.load import VERSION, is_package_name

LICENSES = {
    "AGPL-3.0-only": "AGPL-3",
    "AGPL-3.0-or-later": "AGPL-3+",
    "Apache-2.0": "Apache-2.0",
    "BSD-2-Clause": "BSD-2",
    "BSD-3-Clause": "BSD",
    "CC0-1.0": "CC0-1.0",
    "GPL-2.0-only": "GPL-2",
    "GPL-2.0-or-later": "GPL-2+",
    "GPL-3.0-only": "GPL-3",
    "GPL-3.0-or-later": "GPL-3+",
    "ISC": "ISC",
    "LGPL-2.1-only": "LGPL-2.1",
    "LGPL-2.1-or-later": "LGPL-2.1+",
    "LGPL-3.0-only": "LGPL-3",
    "LGPL-3.0-or-later": "LGPL-3+",
    "MIT": "MIT",
    "MIT OR Apache-2.0": "|| ( MIT Apache-2.0 )",
    "Apache-2.0 OR MIT": "|| ( MIT Apache-2.0 )",
    "MPL-2.0": "MPL-2.0",
    "Unlicense": "Unlicense",
    "Zlib": "ZLIB",
}
"""SPDX -> licenses/ of ::gentoo. Source: metadata/license-mapping.conf there, for those that are common."""
_PYTHON = """DISTUTILS_USE_PEP517={backend}
PYTHON_COMPAT=( python3_{{12..14}} )
inherit distutils-r1 dotgentoo
"""
_INHERIT = {
    "cargo": 'CRATES=""\ninherit cargo dotgentoo\n',
    "go": "inherit go-module dotgentoo\n",
    "meson": "inherit meson dotgentoo\n",
    "cmake": "inherit cmake dotgentoo\n",
    "autotools": "inherit autotools dotgentoo\n",
    "configure": "inherit dotgentoo\n",
    "make": "inherit dotgentoo\n",
}
_PHASES = {
    "cargo": """
PROPERTIES="live"

src_unpack() {
	dotgentoo_src_unpack
	cargo_live_src_unpack
}
""",
    "go": """
PROPERTIES="live"

src_unpack() {
	dotgentoo_src_unpack
	cd "${S}" || die
	go-module_live_vendor
}

src_compile() {
	mkdir bin || die
	ego build -o bin/ ./...
}

src_install() {
	dobin bin/*
	einstalldocs
}
""",
    "autotools": """
src_prepare() {
	default
	eautoreconf
}
""",
    "make": """
src_compile() {
	emake CC="${CC:-${CHOST}-gcc}" PREFIX="${EPREFIX}/usr"
}

src_install() {
	emake DESTDIR="${D}" PREFIX="${EPREFIX}/usr" install
	einstalldocs
}
""",
}


def write_folder(project: Path, name: str) -> Path:
    """Write the .gentoo directory of a project, and return its path.

    Args:
        name: CATEGORY/PACKAGE.

    Raises:
        UsageError[bad-package]: the name is invalid.
        UsageError[dotgentoo-exists]: it exists.
        UsageError[unknown-build], BadFile[bad-project]: the build system is unknown.
    """
    category, slash, package = name.partition("/")
    if not slash or not is_package_name(category, package):
        raise bad_package(name)
    folder = project.absolute() / NAME
    if folder.exists() or folder.is_symlink():
        raise folder_exists(folder)
    ebuild = format_ebuild(detect_project(project))
    with fs.fresh_folder(project) as fresh:  # a full disk leaves no part of it
        fs.write(fresh / category / package / f"{package}-{VERSION}.ebuild", ebuild)
        fresh.rename(folder)
    return folder


def format_ebuild(project: DetectedProject) -> str:
    """Format the ebuild of a project."""
    license_ = LICENSES.get(project.license, "")
    unknown = "" if license_ else "  # use a name from licenses/ of the main repository"
    inherit = _PYTHON.format(backend=project.backend) if project.kind == "python" else _INHERIT[project.kind]
    return (
        f"# Copyright {datetime.date.today().year} the authors of the project\n\nEAPI=8\n\n{inherit}\n"
        f"DESCRIPTION={quote(project.description or 'Description in one line')}\n"
        f"HOMEPAGE={quote(project.homepage)}\n\n"
        f'LICENSE="{license_}"{unknown}\nSLOT="0"\n'
        f"{_PHASES.get(project.kind, '')}"
    )


def quote(text: str) -> str:
    """Quote text for bash with double quotes."""
    for sign in ("\\", '"', "$", "`"):
        text = text.replace(sign, f"\\{sign}")
    return f'"{text}"'
