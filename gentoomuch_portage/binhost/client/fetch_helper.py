# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that downloads from binhosts: ``python -I fetch_helper.py``, with its request on standard input.

It opens its files and drops root before it connects to a server. Names and passwords come only in the request.
"""

import json
import os
import sys

if __name__ == "__main__":
    os.umask(0o022)
    request = json.load(sys.stdin)
    sys.path[:0] = request["path"]
    from gentoomuch_portage.binhost.client.fetch_jobs import carry_out

    sys.exit(carry_out(request))
