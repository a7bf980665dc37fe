"""The machine code itself: which instruction sets stand in the files of a package, and who runs them.

From below: ``elf`` is what ``sections`` (with ``frames``) reads of a file, ``instructions`` decodes its functions,
``dispatch`` says how each is reached, ``examine`` makes a ``report`` of a file; ``payload`` takes files out of
packages, ``work`` has many examined at once, ``judgement`` holds a report against flags and CPUs, ``kept`` remembers.
"""
