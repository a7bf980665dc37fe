"""Containers: boxes as data, the kinds that can make one, and what runs in them.

``mounts`` says what a box is; ``enter`` makes its namespaces and ``inside`` shuts the door behind it; ``kinds``
has the command lines of bwrap, nspawn and podman; ``view`` and ``standing`` lay out the two boxes that a plan needs.
"""
