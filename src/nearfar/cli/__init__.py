"""The command line: `nearfar COMMAND`. One file a command; none imports torch before it must."""

from nearfar.cli.app import main as main
