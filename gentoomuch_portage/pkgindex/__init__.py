"""The index of a folder of binary packages: ``Packages``, and a shard of it for each package name.

``Packages`` is Portage's, byte for byte. ``gm-index/`` beside it holds the same entries by name, so that whoever asks
for one package reads one small file; docs/binhost.md has the format. Whoever writes holds Portage's own lock.
"""
