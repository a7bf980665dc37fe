# SPDX-License-Identifier: GPL-2.0-or-later
"""A binhost behind a name and a password: both emerges install from it, and nobody else reads the password."""

import os
import shutil
from pathlib import Path

from helpers.binhost import installed, machine, open_folder, published, said
from helpers.http_server import serving

from gentoomuch_portage.demo_host import Host

PKG = "dev-demo/libgreet"
TOLD, LOGIN = "joe:secret", "Basic am9lOnNlY3JldA=="


def test_both_emerges_use_a_password_that_other_users_cannot_read():
    with open_folder() as folder:
        server, client = machine(folder / "s"), machine(folder / "c")
        said(server, "emerge", "-B1q", PKG)
        key = published(server, folder / "www")
        with serving(folder / "www", login=LOGIN) as binhost:
            url = binhost.url.replace("://", f"://{TOLD}@")
            by_us = said(client, "gentoomuch", "binhost", "client", url, "--fingerprint", key)
            by_us += said(client, "gentoomuch", "binpkg", "why", PKG, "--remote", "--profile", "box")
            by_us += said(client, "gm-emerge", "-gKq1", PKG, GM_PROFILE="box")
            by_us += said(client, "gm-emerge", "--info", GM_PROFILE="box")
            by_us += said(client, "gm-emerge", "-gK1", "--gm-explain=json", PKG, GM_PROFILE="box")
            taken = installed(client)
            shutil.rmtree(client.vdb / "dev-demo")
            shutil.rmtree(client.eprefix / "var/cache/binhost")
            by_us += said(client, "gentoomuch", "binhost", "client", url, "--fingerprint", key, "--system", "--yes")
            said(client, "emerge", "-gKq1", PKG)

        assert taken == installed(client) == {f"{PKG}-1.0"}, by_us
        assert "secret" not in by_us
        assert readable(client, b"joe:secret") == set()


def readable(host: Host, text: bytes) -> set[str]:
    """The names of files that everybody may read and that hold a text."""
    files = (Path(folder, name) for folder, _, names in os.walk(host.eprefix) for name in names)
    plain = (one for one in files if one.is_file() and one.stat().st_mode & 0o004)
    return {one.name for one in plain if text in one.read_bytes()}
