"""A source as its spec asks for it: loaded, thinned to a long tail, and the part to learn from."""

import torch

from nearfar.data.held_out import held_out_rows
from nearfar.data.label_noise import noted_label_noise, with_label_noise
from nearfar.data.long_tail import long_tail
from nearfar.data.source import JoinedExamples, Part, Source, StreamedExamples
from nearfar.data.source_spec import SourceSpec
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


def part_to_learn_from(source: Source, spec: SourceSpec) -> Part:
    """The part that the encoder learns from.

    Args:
        source: The loaded source, without what `hold_out` took from its training part.
        spec: `learns_from`: train, unlabelled, or both one after the other; `label_noise`.

    Returns:
        The part; without labels where unlabelled examples are in it.

    Raises:
        SettingError: If the source has no unlabelled part, or no labels to mix up.
    """
    if spec.learns_from == "train":
        if not spec.label_noise:
            return source.train
        return with_label_noise(source, spec.label_noise, seed=spec.seed)
    if source.unlabelled is None:
        raise SettingError(
            f"data.train_part is {spec.learns_from}: {source.name} has no unlabelled part"
        )
    if spec.learns_from == "unlabelled":
        return source.unlabelled
    first, second = source.train.examples, source.unlabelled.examples
    if isinstance(first, StreamedExamples) or isinstance(second, StreamedExamples):
        return Part(JoinedExamples(first, second), modality=source.modality)
    return Part(torch.cat([first, second]), modality=source.modality)
