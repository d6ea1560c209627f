"""A source as its spec asks for it: loaded, thinned to a long tail, and the part to learn from."""

from nearfar.data.held_out import held_out_rows
from nearfar.data.label_noise import noted_label_noise, with_label_noise
from nearfar.data.long_tail import long_tail
from nearfar.data.source import Part, Source, joined
from nearfar.data.source_spec import SourceSpec, TrainPart
from nearfar.errors import NearfarError, SettingError
from nearfar.paths import user_path


def load_source(spec: SourceSpec) -> Source:
    """Load a source.

    Args:
        spec: Which source, from where, and how it is held.

    Returns:
        The source: its parts in memory, or streamed where they are too large. A long tail
        is in its training part, which the evaluation learns from too; label noise is not.

    Raises:
        SettingError: If the settings cannot be satisfied.
        NearfarError: If files are missing or damaged.
    """
    spec.require_root()
    if spec.place is not None:
        spec = spec.at(user_path(spec.place))
    source = spec.build()
    if source.modality != spec.modality:
        raise NearfarError(
            f"{spec.name} is a source of {spec.modality}, and {spec.target} gave {source.modality}"
        )
    if source.second_modality != spec.second_modality:
        raise NearfarError(
            f"{spec.name} pairs its examples with {spec.second_modality}, and {spec.target} gave "
            f"{source.second_modality}"
        )
    if spec.imbalance_factor is not None:
        source = long_tail(source, spec.imbalance_factor, seed=spec.seed, order=spec.tail_order)
    if spec.label_noise:
        learning = len(source.train) - len(held_out_rows(source.train.labels, spec.held_out))
        source = noted_label_noise(source, spec.label_noise, learning=learning, seed=spec.seed)
    return source


def train_part_of(source: Source, spec: SourceSpec, *, labelled: bool) -> TrainPart:
    """Which part is learnt from: as the settings say, else all that a method can learn from.

    Args:
        source: Loaded.
        spec: `learns_from`.
        labelled: Whether labels are learnt from.
    """
    if spec.learns_from is not None:
        return spec.learns_from
    return "train" if labelled or source.unlabelled is None else "both"


def part_to_learn_from(source: Source, spec: SourceSpec, *, labelled: bool = False) -> Part:
    """The part that the encoder learns from.

    Args:
        source: The loaded source, without what `hold_out` took from its training part.
        spec: `learns_from`: train, unlabelled, or both one after the other; `label_noise`.
        labelled: Whether labels are learnt from; it decides where `learns_from` does not.

    Returns:
        The part; without labels where unlabelled examples are in it.

    Raises:
        SettingError: If the source has no unlabelled part, or no labels to mix up.
    """
    which = train_part_of(source, spec, labelled=labelled)
    if which == "train":
        if not spec.label_noise:
            return source.train
        return with_label_noise(source, spec.label_noise, seed=spec.seed)
    if source.unlabelled is None:
        raise SettingError(f"data.train_part is {which}: {source.name} has no unlabelled part")
    return source.unlabelled if which == "unlabelled" else joined(source.train, source.unlabelled)
