"""``gentoomuch binhost``: keep and publish the binary packages of many machines."""

from gentoomuch_portage.cli import Command
from gentoomuch_portage.cli.parser import group

# Commands that serve, sign and set up clients: a tuple of cli/binhost_serve.py, added here.
COMMANDS: tuple[Command, ...] = ()
COMMAND = group("binhost", "keep and publish the binary packages of many machines", COMMANDS)
