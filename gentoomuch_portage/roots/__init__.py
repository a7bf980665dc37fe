"""Roots of profiles: filled, listed, removed, taken elsewhere; and the repositories that they are built from.

``hosting`` fills one by emerge, ``releases`` and ``images`` say what an archive must prove before ``unpacking`` puts
it in place; ``tree`` reads a root for ``packing``; ``snapshots`` keeps repositories as they were after a sync.
"""
