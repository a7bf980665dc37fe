"""gm-emerge and gentoomuch: one Gentoo tool for everyone who keeps more than one machine."""

__version__ = "0.1.0"
