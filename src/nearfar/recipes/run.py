"""From a recipe to its report; going on with a cut run; judging a finished one again."""

import functools
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import cast

from rich.console import Console

from nearfar.data.columns import in_columns
from nearfar.data.source import Source
from nearfar.data.sources import load_source
from nearfar.data.specs import SourceSpec
from nearfar.durable_files import check_writable, make_folder
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.saved_classifier import load_classifier
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.recipes.assembly import (
    Assembly,
    assemble,
)
from nearfar.recipes.config_json import read_recipe, recipe_to_json
from nearfar.recipes.console import learnt_from, print_header, print_note
from nearfar.recipes.data_root import refuse_lost_data, with_absolute_root
from nearfar.recipes.experiment import experiment_of
from nearfar.recipes.judging import judge_encoder, save_encoders
from nearfar.recipes.knn_check import knn_check, require_check
from nearfar.recipes.other_data import folder_for, said_first
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.start import (
    second_start_again,
    second_start_of,
    start_again,
    start_of,
)
from nearfar.recipes.tracked import hand_over, tracked
from nearfar.recipes.unreadable import UnreadableFiles
from nearfar.report.build import write_report
from nearfar.run_folder.folder import RunFolder
from nearfar.terminal import Terminal, shown
from nearfar.torch_defaults import own_defaults
from nearfar.training.checkpoints import keep_newest
from nearfar.training.config_format import refuse_earlier_format
from nearfar.training.epoch_check import AfterCheck
from nearfar.training.loop import train
from nearfar.training.online_probe import OnlineProbe
from nearfar.training.ranks import Ranks, joined_ranks
from nearfar.training.tracker import Tracking


@own_defaults()
def run_recipe(
    recipe: Recipe,
    out: Path | str,
    *,
    overwrite: bool = False,
    console: Console | None = None,
    source: Source | None = None,
    choices: Sequence[Mapping[str, str]] = (),
    judge: bool = True,
    after_check: AfterCheck | None = None,
) -> Path:
    """Trains an encoder, judges it beside its baselines and writes its report.

    Everything random follows from `recipe.seed`: the same recipe on the same machine with the same
    threads and ranks gives the same weights.

    Under torchrun, every process calls this, and they train together (`nearfar.training.ranks`).
    The first alone writes, prints and judges; the others return when training is done.

    Args:
        recipe: What to do.
        out: The run folder; new or empty, unless `overwrite`.
        overwrite: Replace the run that `out` holds, once the new one is ready to train.
        console: Where a person watches; by default standard output.
        source: The recipe's data, where they are read already.
        choices: What was chosen for these data, and why: `what`, `value`, `why` and `option` each.
        judge: Whether the encoder is judged when it is trained; `resume_run` judges it later.
        after_check: Is told the epochs done and what each kNN check found; where it gives a
            sentence, the training is saved and ends by `EndedEarly`.

    Returns:
        The page that shows the run, `out/report.html`, there once the run is judged.

    Raises:
        SettingError: A setting is impossible or does not fit the data; nothing was written.
        NearfarError: The data cannot be read, `out` is taken, or training failed.
    """
    console = console or Terminal(goes_on=True)
    with ExitStack() as locks, joined_ranks() as ranks:
        recipe = replace(
            recipe,
            data=with_absolute_root(recipe.data),
            encoder=recipe.encoder.with_absolute_start(),
            method=recipe.method.with_absolute_paths(),
            evaluation=recipe.evaluation.with_absolute_paths(),
        )
        # A name that the command line found free may be taken when the next rank looks.
        run_folder = RunFolder(ranks.from_first(lambda: Path(out)))
        with ranks.agreeing():
            if ranks.first:
                run_folder.check_free(overwrite=overwrite)
                recipe.evaluation.require_files()
                recipe.training.tracker.require_installed()
        # Before the data, which take longer to read.
        recipe.method.require_kinds(recipe.data.second_modality, recipe.data.name)
        start = start_of(recipe.encoder, recipe.adapt, ranks)
        second_start = second_start_of(recipe.method, ranks)
        load = (lambda: source) if source is not None else (lambda: load_source(recipe.data))
        assembly = assemble(recipe, ranks.one_by_machine(load), start, second_start)
        require_check(assembly)
        with ranks.agreeing():
            if ranks.first:
                locks.enter_context(RunFolder.begun(run_folder.path, overwrite=overwrite))
                for tower, begun in assembly.starts.items():
                    run_folder.write_start(begun.as_json(), tower)
                run_folder.write_config(recipe_to_json(recipe, run=run_folder.path))
                if choices:
                    run_folder.write_choices(choices)
                print_header(console, assembly, run_folder.path)
        tracking = locks.enter_context(tracked(recipe, run_folder, ranks, console))
        _train(assembly, run_folder, console, tracking, resume=False, after_check=after_check)
        # Judged by the first alone, after the others have left.
        locks_until_reported = locks.pop_all()
    with locks_until_reported:
        return _save_and_judge(assembly, run_folder, ranks, console, tracking, judge=judge)


@own_defaults()
def resume_run(
    run: Path | str,
    *,
    console: Console | None = None,
    judge: bool = True,
    after_check: AfterCheck | None = None,
) -> Path:
    """Goes on with a run that was cut, to the same weights as if it had not been.

    A run that is trained and judged is not judged again: only its report is written anew.

    Args:
        run: The run folder.
        console: Where a person watches; by default standard output.
        judge: As for `run_recipe`.
        after_check: As for `run_recipe`.

    Returns:
        The page that shows the run.

    Raises:
        NearfarError: `run` is no run folder, or what it needs is gone.
    """
    console = console or Terminal(goes_on=True)
    with ExitStack() as locks, joined_ranks() as ranks:
        recipe = ranks.from_first(lambda: _recipe_to_go_on_with(run))
        refuse_lost_data(Path(run), recipe.data)
        run_folder = RunFolder(run)
        start = start_again(recipe.encoder, recipe.adapt, run_folder, ranks)
        second_start = second_start_again(recipe.method, run_folder, ranks)
        source = ranks.one_by_machine(lambda: load_source(recipe.data))
        assembly = assemble(recipe, source, start, second_start)
        locks.enter_context(ranks.on_first(run_folder.held))
        if ranks.first:
            print_header(console, assembly, run_folder.path)
        judged = ranks.first and _is_judged(recipe, run_folder)
        tracking = locks.enter_context(tracked(recipe, run_folder, ranks, console))
        _train(assembly, run_folder, console, tracking, resume=True, after_check=after_check)
        locks_until_reported = locks.pop_all()
    with locks_until_reported:
        if judged:
            write_report([run_folder.path], run_folder.report)
            console.print("judged already: `nearfar evaluate` judges it again", highlight=False)
            console.print(f"report: {shown(run_folder.report)}")
            return run_folder.report
        return _save_and_judge(assembly, run_folder, ranks, console, tracking, judge=judge)


@own_defaults()
def evaluate_run(
    run: Path | str,
    *,
    data: SourceSpec | None = None,
    evaluation: EvaluationSpec | None = None,
    out: Path | str | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> RunFolder:
    """Judges the encoder of a run again, on its own data or on other data.

    On its own data the run's evaluation and report are replaced. Other data, whose examples must be
    of the same kind and channels, leave the run as it was: what is found goes into a folder inside
    it that is named by the data (`nearfar.recipes.other_data`).

    Args:
        run: The run folder.
        data: Other data; by default the run's own.
        evaluation: Other protocols; by default the run's own.
        out: Folder for what is found, in any case; the run stays as it was.
        overwrite: Replace what an earlier call found on the same data, or left in `out`.
        console: Where a person watches; by default standard output.

    Returns:
        The folder that holds the evaluation.

    Raises:
        SettingError: A setting is impossible, or the encoder does not take such images.
        NearfarError: `run` holds no trained encoder, the data cannot be read, or the folder holds
            scores already.
    """
    console = console or Terminal(goes_on=True)
    run_folder = RunFolder.open(run)
    trained = read_recipe(run_folder.path)
    data = with_absolute_root(data or trained.data)
    refuse_lost_data(run_folder.path, data)
    evaluation = (evaluation or trained.evaluation).with_absolute_paths()
    evaluation.require_files()
    judged = replace(trained, data=data, evaluation=evaluation)
    _refuse_unwritable(run_folder, out)
    encoder = load_encoder(run_folder.path)
    source = in_columns(load_source(judged.data), encoder.columns)
    try:
        encoder.check(source.train.example_shape, source.modality)
    except NearfarError as error:
        raise SettingError(f"{run} on {source.name}: {error}") from None
    own_data = judged.data == with_absolute_root(trained.data)
    target, first = run_folder, []
    if not own_data or out is not None:
        place = None if out is None else Path(out)
        target = folder_for(run_folder, data, source, out=place, overwrite=overwrite)
        make_folder(target.path)
        first = [said_first(run_folder, data, source)]
    classifier = load_classifier(run_folder.path, num_features=encoder.num_features)
    if classifier is not None and not own_data:
        console.print(
            "[yellow]note[/yellow]  the run's classifier is left out: these data are others"
        )
        classifier = None
    with target.held("judging"):
        judge_encoder(judged, source, run_folder, encoder, classifier, target, console, first)
        # Last, so that an evaluation that fails leaves the settings of the one that stands.
        target.write_config(recipe_to_json(judged, run=target.path))
        write_report([target.path], target.report)
    console.print(f"report: {shown(target.report)}")
    return target


def _refuse_unwritable(run_folder: RunFolder, out: Path | str | None) -> None:
    """Refuse before any work where scores cannot be written, such as a disk that is only read."""
    target = run_folder if out is None else RunFolder(out)
    if not target.path.is_dir():
        return  # made later, also before any work
    try:
        check_writable(target.evaluation)
    except NearfarError as error:
        leads_on = "choose another --out" if out is not None else "--out DIR writes elsewhere"
        raise NearfarError(f"{error}; {leads_on}") from error


def _recipe_to_go_on_with(run: Path | str) -> Recipe:
    """The recipe of a run that this version can resume."""
    folder = RunFolder.open(run)
    refuse_earlier_format(folder)
    return read_recipe(folder.path)


def _is_judged(recipe: Recipe, run_folder: RunFolder) -> bool:
    """Whether an evaluation by the recipe's own settings lies beside a finished encoder."""
    files = (run_folder.encoder_weights, run_folder.evaluation_arrays, run_folder.evaluation)
    if not all(file.is_file() for file in files):
        return False
    try:
        run_folder.read_evaluation()
        arrays = run_folder.read_evaluation_arrays()
    except NearfarError:
        return False  # a damaged one is written anew
    return str(arrays.get("evaluation_settings")) == recipe.evaluation.as_text()


def _train(
    assembly: Assembly,
    run_folder: RunFolder,
    console: Console,
    tracking: Tracking | None,
    *,
    resume: bool,
    after_check: AfterCheck | None,
) -> None:
    """Trains, or goes on training."""
    recipe = assembly.recipe
    unreadable = UnreadableFiles(
        assembly.source.faults, run_folder, Ranks.now(), functools.partial(print_note, console)
    )
    train(
        assembly.method,
        assembly.views,
        assembly.batches,
        recipe.training,
        run_folder,
        seed=recipe.seed,
        experiment=experiment_of(assembly),
        resume=resume,
        knn=knn_check(assembly),
        probe=_online_probe(assembly),
        after_check=after_check,
        settle=unreadable.settle,
        tracking=tracking,
        learnt_from=learnt_from(assembly),
        console=console,
    )


def _online_probe(assembly: Assembly) -> OnlineProbe | None:
    """What learns the labels beside the run, where the recipe asks for it."""
    classes = assembly.source.num_classes
    if not assembly.recipe.training.online_probe or classes is None:
        return None
    return OnlineProbe(cast(int, assembly.method.encoder.num_features), classes)


def _save_and_judge(
    assembly: Assembly,
    run_folder: RunFolder,
    ranks: Ranks,
    console: Console,
    tracking: Tracking | None,
    *,
    judge: bool,
) -> Path:
    """Saves the encoder, judges it and writes the report, all of it on the first rank alone."""
    if not ranks.first:
        return run_folder.report
    recipe = assembly.recipe
    save_encoders(assembly, run_folder)
    kept = keep_newest(run_folder.checkpoints)
    if not judge:
        return run_folder.report
    # Judged as it lies on disk: what others will load is what the figures speak of.
    encoder = load_encoder(run_folder.path)
    classifier = load_classifier(run_folder.path, num_features=encoder.num_features)
    judge_encoder(recipe, assembly.source, run_folder, encoder, classifier, run_folder, console)
    write_report([run_folder.path], run_folder.report)
    if tracking is not None:
        hand_over(tracking, run_folder)
    console.print(f"\nreport: {shown(run_folder.report)}")
    if kept:
        console.print(
            f"[dim]the last checkpoint stays ({kept / 1e6:.1f} MB); only --resume needs it, and "
            f"rm -r {shown(shlex.quote(str(run_folder.checkpoints)))} drops it[/dim]"
        )
    return run_folder.report
