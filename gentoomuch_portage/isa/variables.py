# SPDX-License-Identifier: GPL-2.0-or-later
"""The variables of a build that select the CPU of its code, and which of them a package records."""

import re

RUST = re.compile(r"\b(cargo|rust|rust-toolchain)\b")
GO = re.compile(r"\bgo-(module|env|vcs-snapshot)\b")
FORTRAN = re.compile(r"\bfortran-2\b")
GO_VARIABLES = ("GOAMD64", "GO386", "GOARM", "GOARM64", "GOPPC64", "GORISCV64")
PASSED_ON = ("CXX", "CPPFLAGS", "EXTRA_ECONF", "EXTRA_EMAKE", "MYCMAKEARGS", "MYMESONARGS")
"""Other variables that can pass flags to a C compiler: ``EXTRA_EMAKE="CFLAGS=-mavx2"``.
Source: econf and emake of PMS; cmake.eclass and meson.eclass."""
VARIABLES = ("CC", "CFLAGS", "CXXFLAGS", "FFLAGS", "FCFLAGS", "RUSTFLAGS", *GO_VARIABLES, "CHOST", "INHERITED")
"""Variables that select the CPU of code and that a finished package records."""
BUILT_WITH = (*VARIABLES, *PASSED_ON)
"""The same, during a build."""
UNRECORDED = ("FFLAGS", "FCFLAGS", "RUSTFLAGS", *GO_VARIABLES)
"""Those of them that a package records only in the environment of its build, not in a file of their own."""
_EXPORTED = re.compile(r'^declare -x (\w+)="((?:[^"\\]|\\.)*)"$', re.M)
"""A variable as bash writes it; with control characters it has another form."""


def parse_environment(environment: str) -> dict[str, str]:
    """Return the variables that the environment of a build exports.

    Args:
        environment: saved by Portage. Source: __save_ebuild_env; ``declare -p`` of bash(1).
    """
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in _EXPORTED.findall(environment)}


def has_unrecorded_flags(inherited: str) -> bool:
    """Whether a package with these eclasses uses a language whose flags no file of its own records."""
    return bool(RUST.search(inherited) or GO.search(inherited) or FORTRAN.search(inherited))
