# SPDX-License-Identifier: GPL-2.0-or-later
"""Build containers: their description as data, the isolation kinds that start them, and what leaves them.

``spec`` describes a container; ``host_overlay`` and ``root_system`` describe the two that a plan may need.
``lifecycle`` starts one through a program of ``backends``, ``enter`` creates its mounts, and ``init`` is its last step
before exec.
"""
