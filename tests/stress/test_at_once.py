# SPDX-License-Identifier: GPL-2.0-or-later
"""Two profiles with opposite flags build one package at the same time into one PKGDIR: none is mixed, none lost."""

import os
import subprocess
import sys
from pathlib import Path

from helpers.waiting import HANG

from gentoomuch_portage.demo_host import Host

ROUNDS = int(os.environ.get("GM_TEST_ROUNDS") or 20)
SAYS = {"loud": "-O1 -march=x86-64 | loud", "quiet": "-O3 -march=x86-64-v2 | quiet"}
"""Profile -> what its program says."""


def test_two_profiles_at_the_same_time_never_mix(teller: Host, stress, tmp_path: Path):
    host = teller
    for name, level, cpu, use in (("loud", 1, "x86-64", "shout"), ("quiet", 3, "x86-64-v2", "-shout")):
        (tmp_path / name).mkdir()
        conf = {f"{name}/make.conf": f'CFLAGS="-O{level}"\nUSE="{use}"\n'}
        text = f'cpu = "{cpu}"\nlayers = ["{name}"]\nroot = "{tmp_path / name}"\n[binpkg]\nuse = false\n'
        host.profile(name, text, conf)
    emerge = str(Path(sys.executable).parent / "gm-emerge")

    mixed = []
    for number in range(ROUNDS):
        runs = {
            name: subprocess.Popen(
                [emerge, f"--gm-profile={name}", "-q", "teller"],
                env=host.env(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for name in SAYS
        }
        for run in runs.values():
            out, _ = run.communicate(timeout=HANG)
            assert run.returncode == 0, out
        for name, says in SAYS.items():
            program = host.eroot(tmp_path / name) / "usr/bin/teller"
            said = subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()
            mixed += [f"round {number}: {name} says {said}"] if said != says else []

    packages = {path: stress.Package.read(path) for path in host.pkgdir.rglob("*.gpkg.tar")}
    for path, package in packages.items():
        name = "loud" if "shout" in package.use else "quiet"
        flags, _, _ = SAYS[name].partition(" | ")
        if package.flags != flags or SAYS[name].encode() not in package.program:
            mixed.append(f"{path.name}: {package.flags} {sorted(package.use)}")
    faults = stress.index_faults(host)
    print(
        f"{ROUNDS} rounds, {len(packages)} packages, {len(stress.index(host))} in the index, mixed: {mixed}, {faults}"
    )
    assert mixed == []
    assert faults == []
    assert len(packages) == 2 * ROUNDS
    assert {entry["PATH"] for entry in stress.index(host)} == {str(path.relative_to(host.pkgdir)) for path in packages}
