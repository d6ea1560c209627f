"""The table of commands as a script for bash, zsh or fish, which starts nothing when Tab is hit."""

from collections.abc import Callable, Iterator, Sequence

from nearfar.cli.completion_table import Command, Values


def script(shell: str, commands: Sequence[Command]) -> str:
    """A script that a shell reads once.

    Args:
        shell: bash, zsh or fish.
        commands: All there are.
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _bash(commands: Sequence[Command]) -> str:
    def offer(values: Values) -> str:
        return f"names={_quoted(' '.join(values.names))} files={int(values.files)}"

    def options(command: Command) -> str:
        return f"names={_quoted(' '.join(each.name for each in command.options))}"

    names = " ".join([*(each.name for each in commands), "--help", "--version"])
    return f"""# Completion of nearfar for bash, written by `nearfar completion bash`.
_nearfar() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local command=${{COMP_WORDS[1]}} names= files=0 words=0
    # `--option=value` is three words to bash.
    if [[ $current == '=' ]]; then
        current=
    elif [[ $before == '=' ]]; then
        before=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if (( COMP_CWORD == 1 )); then
        names={_quoted(names)}
    elif [[ $current == -* ]]; then
        case $command in
{_cases([([each.name], options(each)) for each in commands], 8)}
        esac
    else
        case "$command $before" in
{_cases(_after_options(commands, offer), 8)}
        {_flags(commands)}) words=1 ;;
        *' --'*) ;;
        *) words=1 ;;
        esac
    fi
    if (( words )); then
        case $command in
{_cases([([each.name], offer(each.words)) for each in commands], 8)}
        esac
    fi
    COMPREPLY=($(compgen -W "$names" -- "$current"))
    if (( files )); then
        local IFS=$'\n'
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -- "$current"))
    fi
}}
complete -F _nearfar nearfar
"""


def _zsh(commands: Sequence[Command]) -> str:
    def offer(values: Values) -> str:
        lines = [f"compadd -- {' '.join(values.names)}"] if values.names else []
        return "; ".join([*lines, *(["_files"] if values.files else [])]) or ":"

    def options(command: Command) -> str:
        return f"found=({' '.join(_described(each.name, each.help) for each in command.options)})"

    described = " ".join(_described(each.name, each.summary) for each in commands)
    return f"""#compdef nearfar
# Completion of nearfar for zsh, written by `nearfar completion zsh`.
_nearfar() {{
    local command=$words[2] before=$words[CURRENT-1]
    local -a found
    if (( CURRENT == 2 )); then
        found=({described})
        _describe command found
        return
    fi
    if [[ $PREFIX == --*=* ]]; then
        before=${{PREFIX%%=*}}
        compset -P '*='
    elif [[ $PREFIX == -* ]]; then
        case $command in
{_cases([([each.name], options(each)) for each in commands], 8)}
        esac
        _describe -o option found
        return
    fi
    case "$command $before" in
{_cases(_after_options(commands, lambda values: f"{offer(values)}; return"), 4)}
    {_flags(commands)}) ;;
    *' --'*) return ;;
    esac
    case $command in
{_cases([([each.name], offer(each.words)) for each in commands], 4)}
    esac
}}
if [[ $funcstack[1] == _nearfar ]]; then
    _nearfar "$@"
else
    compdef _nearfar nearfar
fi
"""


def _fish(commands: Sequence[Command]) -> str:
    return "\n".join(_fish_lines(commands)) + "\n"


def _fish_lines(commands: Sequence[Command]) -> Iterator[str]:
    yield "# Completion of nearfar for fish, written by `nearfar completion fish`."
    yield "function __nearfar_is"
    yield "    set -l words (commandline -opc)"
    yield '    test "$words[2]" = "$argv[1]"'
    yield "end"
    yield "complete -c nearfar -f"
    for each in commands:
        told = _fish_quoted(each.summary)
        yield f"complete -c nearfar -n '__nearfar_is \"\"' -a {each.name} -d {told}"
    for command in commands:
        begin = f"complete -c nearfar -n '__nearfar_is {command.name}'"
        yield begin + _fish_values(command.words)
        for option in command.options:
            line = f"{begin} -l {option.name.removeprefix('--')}"
            if option.values is not None:
                line += f" -r{_fish_values(option.values)}"
            yield line + (f" -d {_fish_quoted(option.help)}" if option.help else "")


def _fish_values(values: Values) -> str:
    files = " -F" if values.files else " -f"
    return files + (f" -a {_fish_quoted(' '.join(values.names))}" if values.names else "")


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


Case = tuple[Sequence[str], str]
"""Patterns of a `case`, and what is done where one of them fits."""


def _after_options(commands: Sequence[Command], offer: Callable[[Values], str]) -> list[Case]:
    """What is offered behind each option of which something is known; alike ones share a case."""
    patterns: dict[str, list[str]] = {}
    for command in commands:
        for option in command.options:
            if option.values:
                here = _quoted(f"{command.name} {option.name}")
                patterns.setdefault(offer(option.values), []).append(here)
    return [(fit, done) for done, fit in patterns.items()]


def _flags(commands: Sequence[Command]) -> str:
    """A pattern of all options that nothing follows."""
    return "|".join(
        _quoted(f"{command.name} {option.name}")
        for command in commands
        for option in command.options
        if option.values is None
    )


def _cases(cases: Sequence[Case], indent: int) -> str:
    lines = [f"{' ' * indent}{'|'.join(fit)}) {done} ;;" for fit, done in cases]
    return "\n".join(lines)


def _described(name: str, help_: str) -> str:
    """`name:help`, as zsh's `_describe` takes it."""
    return _quoted(f"{name}:{help_}" if help_ else name)


def _quoted(text: str) -> str:
    """Text of one line in single quotes, for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"
