"""`nearfar completion SHELL`: a script by which a shell completes commands, options and names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse


@dataclass(frozen=True)
class CompletionArguments:
    """Print a script by which a shell completes commands, options, recipes, sources and methods.

    bash: nearfar completion bash > ~/.local/share/bash-completion/completions/nearfar;
    zsh: nearfar completion zsh > FOLDER/_nearfar, a folder in your fpath;
    fish: nearfar completion fish > ~/.config/fish/completions/nearfar.fish
    """

    shell: Annotated[Positional[Literal["bash", "zsh", "fish"]], arg(metavar="SHELL")]
    """bash, zsh or fish."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar completion` with the words after it."""
    arguments = parse(CompletionArguments, "completion", words)

    from nearfar.cli.app import COMMANDS
    from nearfar.cli.completion_scripts import script
    from nearfar.cli.completion_table import table
    from nearfar.terminal import Terminal

    Terminal(highlight=False).out(script(arguments.shell, table(COMMANDS)), end="")
