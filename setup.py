"""The package; its plugins and commands are listed here, everything else is in the code."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
about: dict[str, str] = {}
exec((here / "gentoomuch_portage/__init__.py").read_text(encoding="utf-8"), about)


def pages() -> list[tuple[str, list[str]]]:
    """Man pages and completion, to where man and the shells look for them; see gentoomuch_portage/cli/docs."""
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
    data_files=pages(),
    install_requires=[
        "portage>=3.0.83",
        "pkgcore>=0.12.30",
        "snakeoil>=0.11",
        "pluggy>=1.5",
        "urllib3>=2.2",
        "backports-zstd>=1.0; python_version < '3.14'",
    ],
    extras_require={
        "audit": ["iced-x86>=1.21", "pyelftools>=0.31", "rich>=13"],
        "server": ["aiohttp>=3.9"],
        "fleet": ["pygal>=3"],
        "export": ["cyclonedx-python-lib>=9"],
    },
    entry_points={
        "console_scripts": [
            "gm-emerge = gentoomuch_portage.emerge.main:main",
            "gentoomuch = gentoomuch_portage.cli.main:main",
        ]
    },
)
