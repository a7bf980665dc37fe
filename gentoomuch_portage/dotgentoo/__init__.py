""".gentoo folders: what a project says of how it is installed, read strictly, and its ID.

``reading`` takes bytes from disk within limits, ``folder`` makes sense of them, ``identity`` names the sense.
Nothing here sources or runs a thing of the folder.
"""
