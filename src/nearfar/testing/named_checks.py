"""Checks that are told by the name of what is checked and of the property that does not hold."""

from collections.abc import Callable, Iterable


def require_all(name: str, checks: Iterable[tuple[str, Callable[[], object]]]) -> None:
    """Run checks in turn, until one fails.

    Args:
        name: Of what is checked.
        checks: Each with the property that it checks, in words.

    Raises:
        AssertionError: The name, the property, and what the check says.
    """
    for words, check in checks:
        try:
            check()
        except Exception as error:
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            raise AssertionError(f"{name}: {words}: {kind}{error}") from error
