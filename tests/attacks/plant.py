# SPDX-License-Identifier: GPL-2.0-or-later
"""``python3 plant.py KIND STARTS SECRETS``: plant secrets on this host, start containers, print what they read.

It runs as root on a host that is thrown away: it mounts, writes everywhere, and a package owns /opt/vendor.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WHERE = {
    "/etc": ("svcA", "ssl", "ssl/private", "ssl/certs", "env.d", "pam.d", "profile.d", "ca-certificates", "wireguard",
             "xml", "portage", "X11/x", "svcA/mnt"),
    "/var": ("", "lib", "db", "cache", "log", "spool", "lib/mysvc", "lib/mysvc/a/b", "lib/portage", "lib/gentoo",
             "cache/edb", "lib/texmf", "db/repos", "db/pkg/app-misc", "backups", "www/html", "lib/mnt",
             "lib/docker/volumes/x/_data", "lib/sbctl/keys/db"),
    "/opt": ("", "vendor", "vendor/etc", "vendor/a/b/c/d", "other"),
    "/srv": ("", "data", "git/x"),
    "/usr/local": ("", "etc", "bin", "share/x", "src/y"),
    "/usr/src": ("linux-1/certs",),
    "/usr/share": ("secretapp",),
    "/usr/lib": ("secretapp",),
    "/home": ("joe", "joe/.ssh", "joe/.config/x", "mnt"),
    "/root": (".ssh", ""),
}  # fmt: skip
MODES = (0o600, 0o400, 0o640, 0o440, 0o660, 0o644, 0o604)
LATE = ("/etc", "/etc/env.d", "/etc/portage", "/var", "/var/lib", "/var/cache/edb", "/var/lib/portage",
        "/var/lib/texmf", "/opt", "/usr/local", "/home", "/var/lib/gentoomuch", "/var/cache/gentoomuch")  # fmt: skip
"""Where secrets are made while a container runs."""
CHURNED = ("/etc", "/etc/env.d", "/etc/ssl/certs", "/var", "/var/db", "/var/lib", "/var/lib/portage", "/var/cache/edb",
           "/opt/vendor")  # fmt: skip
MARK = "GM-SECRET"
HASH = "$6$planted$"
READER = r"""
import os, sys
print("ready", flush=True)
MARK, HASH, *paths = sys.stdin.readline().rstrip("\n").split("\0")
MARK, HASH = MARK.encode(), HASH.encode()
read = {}
def look(path):
    try:
        with open(path, "rb") as file:
            content = file.read(1 << 16)
    except OSError:
        return
    if MARK in content or HASH in content:
        read[path] = content.decode(errors="replace")[:200]
for path in paths:
    look(path)
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/dev", "/usr")]
    for name in files:
        if os.path.isfile(os.path.join(folder, name)):
            look(os.path.join(folder, name))
import json
print(json.dumps(read))
"""


def main(kind: str, starts: int, secrets: int) -> None:
    """Plant, start, print."""
    prepare()
    private, public = plant(secrets)
    starting = []
    with churning():
        for number in range(starts):
            starting.append(start(kind, [*private, *public], number))
    for one in starting:
        one["private"] = sorted(path for path in one["read"] if path in private or is_private(path, one["read"][path]))
    print(json.dumps({"planted": len(private), "public": len(public), "starts": starting}))


def is_private(path: str, content: str) -> bool:
    """Whether something that was read lies elsewhere than where others may read it: a copy, a hash, a late secret."""
    return HASH in content or "late" in content or not content.strip().endswith(path)


def prepare() -> None:
    """Users with hashes, mounts in /etc, /var and /home, a package that owns /opt/vendor, and signing keys."""
    marker = Path("/run/planted")
    if marker.exists():
        return  # for another kind of container
    marker.touch()
    for name, line in (("passwd", f"joe:x:1000:1000::/home/joe:/bin/sh\nold:{HASH}old:1001:1001::/:/bin/sh\n"),
                       ("shadow", f"joe:{HASH}joe:19000:0:99999:7:::\n")):  # fmt: skip
        with Path("/etc", name).open("a") as file:
            file.write(line)
    for folder in ("/etc/svcA/mnt", "/var/lib/mnt", "/home/mnt"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    for name in ("resolv.conf", "hosts"):
        own = Path("/run", name)
        own.write_text("127.0.0.1 localhost\n")
        Path("/etc", name).touch()
        subprocess.run(["mount", "--bind", str(own), f"/etc/{name}"], check=True)
    vdb = Path("/var/db/pkg/app-misc/vendor-1")
    vdb.mkdir(parents=True, exist_ok=True)
    Path("/opt/vendor").mkdir(parents=True, exist_ok=True)
    (vdb / "CONTENTS").write_text("dir /opt\ndir /opt/vendor\n")
    (vdb / "PF").write_text("vendor-1\n")


def plant(count: int) -> tuple[list[str], list[str]]:
    """Secrets of all modes at all depths: paths that others cannot read, and paths that they can."""
    chosen = random.Random(5)
    private: list[str] = []
    public: list[str] = []
    for number in range(count):
        top = chosen.choice(list(WHERE))
        folder = Path(
            top, chosen.choice(WHERE[top]), *(f"d{depth}" for depth in range(chosen.choice((0, 0, 1, 2, 3, 5))))
        )
        folder.mkdir(parents=True, exist_ok=True)
        if chosen.random() < 0.25:
            folder = folder / "privdir"
            folder.mkdir(exist_ok=True)
            folder.chmod(chosen.choice((0o700, 0o750, 0o710)))
        file = secret(folder / f"zzsecret{number}", chosen.choice(MODES))
        if chosen.random() < 0.3:
            os.chown(file, 1000, 1000)
        (private if is_closed(file) else public).append(str(file))
    keys = ("/etc/portage/secureboot.pem", "/usr/src/linux-1/certs/signing_key.pem", "/var/lib/sbctl/keys/db/db.key",
            "/etc/ssl/private/server.key")  # fmt: skip
    for path in keys:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        private.append(str(secret(Path(path), 0o400)))
    return private, public


def secret(file: Path, mode: int) -> Path:
    """A file that names itself, so that a copy elsewhere is known as one."""
    file.write_text(f"{MARK} {file}\n")
    file.chmod(mode)
    return file


def is_closed(file: Path) -> bool:
    """Whether others cannot read a file."""
    above = (folder.stat().st_mode & 0o001 for folder in file.parents)
    return not file.stat().st_mode & 0o004 or not all(above)


@contextmanager
def churning() -> Iterator[None]:
    """Files come and go, one of them a lock file of Portage's, and a listed file is replaced."""
    ended = threading.Event()
    threads = [threading.Thread(target=churn, args=(Path(folder), ended)) for folder in CHURNED]
    threads += [threading.Thread(target=flicker, args=(ended,)), threading.Thread(target=replace, args=(ended,))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def churn(folder: Path, ended: threading.Event) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in forever(ended, 0.01):
        file = folder / f"aa-comes-and-goes-{number % 3}"
        file.touch(0o644)
        file.unlink()


def flicker(ended: threading.Event) -> None:
    for _ in forever(ended, 0.02):
        lock = Path("/var/db/.pkg.portage_lockfile")
        lock.touch(0o600)
        time.sleep(0.02)
        lock.unlink()


def replace(ended: threading.Event) -> None:
    for number in forever(ended, 0.05):
        new = Path("/etc/.services.new")
        new.write_text(f"ssh 22/tcp # {number}\n")
        new.rename("/etc/services")


def forever(ended: threading.Event, pause: float) -> Iterator[int]:
    number = 0
    while not ended.wait(pause):
        yield number
        number += 1


def start(kind: str, paths: list[str], number: int) -> dict[str, object]:
    """Start a container, make secrets once it runs, and let it read all that it can."""
    argv = ["gentoomuch", "freshroot", "here", "--isolation", kind, "--", "python3", "-c", READER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, text=True, **pipes) as container:
        assert container.stdin is not None
        assert container.stdout is not None
        ready = container.stdout.readline()
        late = list(make_late(number)) if ready else []
        time.sleep(0.2)
        out, err = container.communicate("\0".join([MARK, HASH, *paths, *map(str, late)]) + "\n", timeout=300)
    for file in late:
        with suppress(OSError):
            file.unlink()
    last = out.strip().splitlines()[-1:] or ["{}"]
    return {"status": container.returncode, "read": json.loads(last[0]), "err": err[-2000:]}


def make_late(number: int) -> Iterator[Path]:
    before = os.umask(0o077)
    try:
        for folder in LATE:
            Path(folder).mkdir(parents=True, exist_ok=True)
            file = Path(folder, f"late-{number}")
            file.write_text(f"{MARK} late\n")
            yield file
        new = Path("/etc/shadow+")  # as passwd(1) makes it
        new.write_text(f"joe:{HASH}late:19000:0:99999:7:::\n")
        yield new
    finally:
        os.umask(before)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
