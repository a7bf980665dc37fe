# SPDX-License-Identifier: GPL-2.0-or-later
"""Scan the machine code of packages: which instruction sets it uses, and whether they are guarded.

``elf`` reads a file, ``instructions`` decodes its functions, ``cpu_dispatch`` finds how each is reached, and
``scan_file`` creates a ``report``. ``package_files`` extracts files from packages, ``pool`` scans many at once, and
``cache`` stores reports.
"""
