# SPDX-License-Identifier: GPL-2.0-or-later
"""Carry out a request of ``fetch.py``: open the files, drop privileges, download, report."""

import encodings.idna  # noqa: F401 - may be unreadable after dropping privileges
import errno
import json
import os
import re
import resource
import ssl
import threading
import urllib.request  # noqa: F401 - as above
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO, NamedTuple

import urllib3.util  # noqa: F401 - as above

from gentoomuch_portage import console
from gentoomuch_portage.binpkg.download import (
    Answer,
    BadGzip,
    DownloadFailed,
    Limits,
    Watchdog,
    download,
    gunzip,
    open_regular,
)
from gentoomuch_portage.binpkg.http import Pools, Timeouts, proxy_of_environment
from gentoomuch_portage.errors import bare

_GAVE_UP = 1
_RATIO = 64
"""Maximum bytes of an index per byte of its gzip; real indexes have 5 to 20."""
_ALWAYS = 4 << 20
"""Bytes that any gzip may decompress to."""


class _Job(NamedTuple):
    request: Mapping[str, Any]
    file: BinaryIO
    start: int
    unpacked: BinaryIO | None


class _Report:
    """The results so far, written once, by the work or by the watchdog."""

    def __init__(self, number: int, *, show: bool) -> None:
        self._number, self._show = number, show
        self._results: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, answer: Answer, unpacked: int) -> None:
        self._results.append({"status": answer.status, "etag": answer.etag, "size": answer.size, "unpacked": unpacked})

    def end(self, failure: DownloadFailed | None = None) -> int:
        """Write all results, and return the exit status of the process."""
        self._lock.acquire()  # never released: only one thread reports
        if failure:
            facts = {"why": failure.why, "lasting": failure.lasting, "dead": failure.dead}
            self._results.append({"code": failure.code, **facts})
            if self._show:
                console.print_result(f"!!! {_printable(failure.message)}  [{failure.code}]")
                console.flush()
        os.write(self._number, json.dumps(self._results).encode())
        return _GAVE_UP if failure else 0


def carry_out(request: Mapping[str, Any]) -> int:
    """Carry out a request, and return the exit status of the process.

    Args:
        request: as written by ``fetch.make_request``.
    """
    report = _Report(request["result"], show=request["show"])
    timeouts = Timeouts(connect=request["timeout"] / 2, silence=request["timeout"], rate=request["rate"])
    pools = Pools(proxy_of_environment, timeouts, binhosts=request["binhosts"], tls=ssl.create_default_context())
    current = request["jobs"][0]["url"]
    with ExitStack() as stack:
        try:
            jobs = [_open(stack, job_request, request["folder"]) for job_request in request["jobs"]]
        except OSError as error:
            return report.end(_write_failed(current, error))
        _drop_privileges(request["jobs"], request["user"])
        for job in jobs:
            current = job.request["url"]
            if request["show"]:
                console.print_result(f">>> Downloading {_printable(bare(current))} ({job.request['size']} bytes)")
                console.flush()
            try:
                answer, unpacked = _download_job(job, pools, report)
            except DownloadFailed as error:
                return report.end(error)
            except OSError as error:
                return report.end(_write_failed(current, error))
            report.add(answer, unpacked)
            if answer.status not in {200, 206}:
                break
    return report.end()


def _open(stack: ExitStack, request: Mapping[str, Any], folder: str) -> _Job:
    """Open the files of a job."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = stack.enter_context(open_regular(directory, request["name"]))
        unpacked = stack.enter_context(open_regular(directory, request["unpack"])) if request["unpack"] else None
    finally:
        os.close(directory)
    if not request["resume"]:
        file.truncate(0)
    return _Job(request, file, os.fstat(file.fileno()).st_size, unpacked)


def _drop_privileges(jobs: list[Mapping[str, Any]], user: list[Any] | None) -> None:
    """Switch to an unprivileged user, and limit the size of files."""
    most = max(max(job["size"], job["unpack_most"]) for job in jobs)
    with suppress(ValueError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if user is None:
        return
    number, group, groups = user
    try:
        os.setgroups(groups)
        os.setgid(group)
        os.setuid(number)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EPERM} or os.getuid() == number:
            raise  # otherwise this user namespace does not map the user, and its root has no privileges outside


def _download_job(job: _Job, pools: Pools, report: _Report) -> tuple[Answer, int]:
    """Download a file and decompress it if requested; return the answer and the number of decompressed bytes."""
    url = job.request["url"]

    def expire(failure: DownloadFailed) -> None:
        os._exit(report.end(failure))

    watchdog = Watchdog(pools.timeouts, url, expire)
    try:
        limits = Limits(job.request["size"], job.request["exact"])
        answer = download(pools, url, job.file, limits, watchdog, etag=job.request["etag"], start=job.start)
    finally:
        watchdog.stop()
    if job.unpacked is None or answer.status != 200:
        return answer, 0
    job.file.seek(0)
    try:
        most = min(job.request["unpack_most"], max(_ALWAYS, _RATIO * answer.size))
        return answer, gunzip(job.file, job.unpacked, most)
    except BadGzip as error:
        raise DownloadFailed(url, str(error), code="download-bomb") from error


def _write_failed(url: str, error: OSError) -> DownloadFailed:
    return DownloadFailed(url, (error.strerror or str(error)).lower(), code="download-unwritten")


def _printable(text: str) -> str:
    """Escape characters that a terminal interprets."""
    return re.sub(r"[^\x20-\x7e]", lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode()), text)
