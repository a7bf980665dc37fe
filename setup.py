# SPDX-License-Identifier: GPL-2.0-or-later
"""The package; its plugins and commands are listed here, everything else is in the code."""

import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

here = Path(__file__).parent
about: dict[str, str] = {}
exec((here / "gentoomuch_portage/__init__.py").read_text(encoding="utf-8"), about)
sys.path.insert(0, str(here))


def write_commit(top: str) -> None:
    """Write the commit of this checkout into a copy of the package below ``top``."""
    from gentoomuch_portage.version import find_commit

    target = Path(top, "gentoomuch_portage/commit")
    if (commit := find_commit()) and target.parent.is_dir():
        target.unlink(missing_ok=True)  # it may be a hard link to the file of the checkout
        target.write_text(f"{commit}\n", encoding="ascii")


class BuildPy(build_py):
    """Build the package with its commit."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            write_commit(self.build_lib)


class Sdist(sdist):
    """Make a source distribution with its commit."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        write_commit(base_dir)


def pages() -> list[tuple[str, list[str]]]:
    """Man pages and completion, to where man and the shells look for them; see tools/manual."""
    found = sorted(path.relative_to(here) for path in (here / "share").rglob("*") if path.is_file())
    return [(str(path.parent), [str(path)]) for path in found]


setup(
    name="gentoomuch-portage",
    version=about["__version__"],
    description="emerge for everyone who keeps more than one Gentoo machine",
    long_description=(here / "README.md").read_text(encoding="utf-8") if (here / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="GPL-2.0-or-later",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: System :: Archiving :: Packaging",
        "Topic :: System :: Installation/Setup",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["gentoomuch_portage", "gentoomuch_portage.*"]),
    include_package_data=False,  # it warns of each folder of data that could be a package
    package_data={"gentoomuch_portage": ["**/*"]},
    exclude_package_data={"gentoomuch_portage": ["**/*.py[cod]"]},
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
    data_files=pages(),
    install_requires=[
        "portage>=3.0.77",
        "pkgcore>=0.12.30",
        "snakeoil>=0.11,!=0.11.4",  # no pkgcore with it on Python 3.13 and later
        "pluggy>=1.5",
        "urllib3>=2.2",
        "backports-zstd>=1.0; python_version < '3.14'",
    ],
    extras_require={
        "audit": ["iced-x86>=1.21", "pyelftools>=0.31"],
        "server": ["aiohttp>=3.9"],
    },
    scripts=["bin/gm-emerge", "bin/gentoomuch"],  # no entry points: installers write no -I into the first line
)
