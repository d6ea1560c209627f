"""Finds the command, runs it, and turns errors into one line and an exit code."""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from nearfar.errors import NearfarError, unknown_name
from nearfar.standard_streams import say_error, steady_streams

# Name of each command: the module's function `run(arguments)` and what help says of it.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("nearfar.cli.train", "train an encoder, judge it and write its report"),
    "evaluate": ("nearfar.cli.evaluate", "judge a run's encoder again, also on other data"),
    "report": ("nearfar.cli.report", "write the page of one run, or of several side by side"),
    "sweep": ("nearfar.cli.sweep", "train many settings and seeds, choose the best by its check"),
    "runs": ("nearfar.cli.runs", "list every run below a folder: how far, how good"),
    "web": ("nearfar.cli.web", "serve a page here that follows running jobs and browses runs"),
    "transfer": ("nearfar.cli.transfer", "judge encoders on other sets, beside other starts"),
    "embed": ("nearfar.cli.embed", "turn examples into vectors: parquet, npz or npy"),
    "neighbors": ("nearfar.cli.neighbors", "find what is most like each of some examples"),
    "duplicates": ("nearfar.cli.duplicates", "find copies, equal or nearly so"),
    "suspects": ("nearfar.cli.suspects", "find labels that neighbours contradict"),
    "outliers": ("nearfar.cli.outliers", "find examples that lie apart"),
    "select": ("nearfar.cli.select", "choose what to label first"),
    "export": ("nearfar.cli.export", "write an encoder as ONNX, for timm or for the Hub"),
    "accept": ("nearfar.cli.accept", "take a run's files as they are, though changed by hand"),
    "mi": ("nearfar.cli.mi", "estimate the mutual information of two arrays"),
    "data": ("nearfar.cli.data", "list the sources of examples, or tell all of one"),
    "recipes": ("nearfar.cli.recipes", "list the recipes of `nearfar train`, or tell all of one"),
    "studies": ("nearfar.cli.studies", "list the studies of `nearfar sweep`, or tell all of one"),
    "methods": ("nearfar.cli.methods", "list the methods and what they need, or tell all of one"),
    "protocols": ("nearfar.cli.protocols", "list the protocols that judge, or tell all of one"),
    "objectives": ("nearfar.cli.objectives", "list the objectives, or tell all of one"),
    "completion": ("nearfar.cli.completion", "print a script that completes words in your shell"),
    "doctor": ("nearfar.cli.doctor", "tell what nearfar finds here, how fast, and what is missing"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: What follows `nearfar` on the command line; by default this process's own.

    Returns:
        The exit code: 0 done, 1 failed, 2 a wrong setting, 130 and 143 interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with steady_streams(goes_on=_writes_files(arguments)):
        try:
            return _dispatch(arguments)
        except NearfarError as error:
            say_error(str(error))
            return error.exit_code
        except KeyboardInterrupt:
            say_error("interrupted")
            return 128 + signal.SIGINT
        except BrokenPipeError:
            # The reader went away (`nearfar data | head`): leave quietly, as other tools do.
            return 128 + signal.SIGPIPE


def _writes_files(arguments: list[str]) -> bool:
    """Whether a command leaves more than what it prints, and so goes on where nobody reads that."""
    given = any(word.partition("=")[0] == "--out" for word in arguments)
    return given or arguments[:1] in (
        ["train"],
        ["evaluate"],
        ["report"],
        ["embed"],
        ["accept"],
        ["transfer"],
        ["sweep"],
    )


def _dispatch(arguments: list[str]) -> int:
    """Help, version, or the command that the first argument names."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        print(f"nearfar {metadata.version('nearfar')}")
        return 0
    if name not in COMMANDS:
        raise unknown_name("command", name, [*COMMANDS, "--help", "--version"])
    code = import_module(COMMANDS[name][0]).run(rest)
    sys.stdout.flush()
    return code or 0


def _help() -> str:
    commands = "\n".join(f"  {name:<10} {summary}" for name, (_, summary) in COMMANDS.items())
    return f"""usage: nearfar COMMAND [OPTIONS]

Contrastive representation learning, from the objective to the evidence.

commands:
{commands}

  nearfar COMMAND --help    every option of a command
  nearfar --version         the version

Try `nearfar train`: about a minute on two cores, no download."""
