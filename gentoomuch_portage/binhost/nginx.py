"""The configuration of nginx for a published folder."""

from pathlib import Path

_TEXT = """server {{
    listen 80;
    root {top}/current;
    default_type application/octet-stream;
    types {{ text/plain asc; application/gzip gz; application/x-tar tar; }}
    # What is current may change between two requests: each looks where the link leads to.
    disable_symlinks off;
    open_file_cache off;
    sendfile on;
    # Portage asks for what is newer than its index by five seconds; ours only ever become younger, by six at least.
    if_modified_since before;
    add_header Cache-Control no-cache;
}}
"""


def configuration(top: Path) -> str:
    """A server block.

    Args:
        top: where was published to, absolute.

    Source: nginx.org, ngx_http_core_module.
    """
    return _TEXT.format(top=top)
