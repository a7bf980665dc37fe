"""``cpu = "znver3"``: flags for C, C++, Fortran, Rust and Go, and CPU_FLAGS_*.

The last -march wins on a compiler's command line, so ours stands behind what the layers say;
a ``-mno-avx2`` of a layer still holds.
"""

from collections.abc import Iterator

from gentoomuch_portage import isa
from gentoomuch_portage.hookspec import hookimpl
from gentoomuch_portage.plan import Line, Part
from gentoomuch_portage.profiles import Profile
from gentoomuch_portage.request import Request
from gentoomuch_portage.settings import Settings

_FLAGS = ("CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS")


@hookimpl
def gm_parts(request: Request, settings: Settings, profile: Profile) -> Iterator[Part]:
    if not profile.cpu:
        return
    found = isa.macros(profile.cpu, settings.cache, asked_at=profile.where("cpu"))
    option = f"{isa.flag_name(found)}={profile.cpu}"
    for name in _FLAGS:
        yield Line("make.conf", f'{name}="${{{name}}} {option}"')
    yield Line("make.conf", f'RUSTFLAGS="${{RUSTFLAGS}} -C target-cpu={profile.cpu}"')
    if level := isa.goamd64(found):
        yield Line("make.conf", f'GOAMD64="{level}"')
    name, flags = isa.cpu_flags(found)
    if name:
        yield Line("make.conf", f'{name}="{flags}"')
