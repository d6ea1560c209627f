"""Which sums over a matrix of similarities are wanted."""

from dataclasses import dataclass

from nearfar.similarity.pairs import Numbers, Pairs


@dataclass(frozen=True)
class Sums:
    """Always each row's, over the pairs that take part; and on request another one.

    Attributes:
        pairs: Which pairs take part.
        groups: A number for each query and each key; with them each row gets a second sum, over the
            keys of its own group, which the first then leaves out.
        columns: Each column gets a sum too; not with groups.
    """

    pairs: Pairs
    groups: Numbers | None = None
    columns: bool = False
