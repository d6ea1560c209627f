"""What a run tells of files that could not be read while it went on, and when it ends by them."""

from collections.abc import Callable

from nearfar.data.file_faults import Faults
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ranks import Ranks


class UnreadableFiles:
    """The account of a run: the same on every rank, and the same after a kill.

    Args:
        faults: Of the run's source; None where all its files were read at the beginning.
        run_folder: Keeps it, in `unreadable.json`.
        ranks: Each finds those of its share of the batches.
        say: Told of each file that is new, on the first rank.
    """

    def __init__(
        self, faults: Faults | None, run_folder: RunFolder, ranks: Ranks, say: Callable[[str], None]
    ) -> None:
        self._faults = faults
        self._run_folder = run_folder
        self._ranks = ranks
        self._say = say
        self._written = 0
        if faults is not None:
            held = ranks.from_first(run_folder.read_unreadable)
            faults.add(held)
            self._written = len(held)

    def settle(self) -> str | None:
        """Put together what the ranks have found, and write it down; every rank calls this.

        Returns:
            Why the run must end: too many files cannot be read. None where it goes on.

        Raises:
            NearfarError: The account cannot be written; on every rank.
        """
        faults = self._faults
        if faults is None:
            return None
        for found in self._ranks.gather(faults.all()):
            faults.add(found)
        with self._ranks.agreeing():
            if self._ranks.first:
                self.write()
        return faults.too_many()

    def write(self) -> None:
        """Write down what this process knows of, and tell of it."""
        if self._faults is None or len(self._faults) == self._written:
            return
        self._run_folder.write_unreadable(self._faults.all())
        self._written = len(self._faults)
        for note in self._faults.notes():
            self._say(note)
