"""Distillation: what the student is taught, by whom, and that the teacher stays who it was."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cases.methods import teacher as write_teacher
from rich.console import Console
from tests.recipes.small_recipe import small_recipe
from torch import nn

from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.sources import load_source
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import MLPSpec, SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.distill import Distill
from nearfar.methods.distill_spec import DistillSpec
from nearfar.methods.teacher_rows import TeacherRows
from nearfar.objectives import byol, similarity_distillation
from nearfar.recipes.run import evaluate_run, resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.testing.methods import norm_each_row
from nearfar.training.checkpoints import load_newest
from nearfar.training.gradient_caching import cached_gradients

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp("teacher"))


def student(teacher, width=4, views=None, **settings):
    spec = DistillSpec(teacher=teacher, **{"projection_hidden": 8, "queue_size": 11} | settings)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Distill(spec, SmallResNetSpec(width=width).build((1, 8, 8)), views)


def views_of(step, count=2, batch=6):
    draws = torch.Generator().manual_seed(step)
    return tuple(torch.randn(batch, 1, 8, 8, generator=draws) for _ in range(count))


@pytest.mark.parametrize("output", ["features", "embedding"])
def test_the_teacher_sees_the_students_own_views(teacher, output):
    method = student(teacher, teacher_output=output)
    views = views_of(0)
    first, second, own_1, own_2 = method.embed(views)
    whole = load_encoder(teacher, output)
    with torch.no_grad():
        for view, rows in zip(views, (own_1, own_2), strict=True):
            features = whole.backbone(view)
            expected = features if whole.head is None else whole.head(features)
            torch.testing.assert_close(rows, expected)
    assert first.shape == second.shape == own_1.shape == (6, whole.num_features)
    assert not own_1.requires_grad


def test_views_of_other_statistics_and_size_are_brought_to_the_teachers(teacher):
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    normalised = (images / 255 - 0.2) / 0.7
    seen = SimpleNamespace(shape=(1, 8, 8), mean=(0.2,), std=(0.7,), columns=None)
    (_, rows) = student(teacher, views=seen).embed((normalised,))
    with torch.no_grad():
        torch.testing.assert_close(rows, load_encoder(teacher)(images), rtol=1e-4, atol=1e-5)
    larger = SimpleNamespace(shape=(1, 16, 16), mean=(0.2,), std=(0.7,), columns=None)
    flat = torch.full((2, 1, 16, 16), (100 / 255 - 0.2) / 0.7)
    (_, rows) = student(teacher, views=larger).embed((flat,))
    with torch.no_grad():
        whole = load_encoder(teacher)(torch.full((2, 1, 16, 16), 100, dtype=torch.uint8))
        torch.testing.assert_close(rows, whole, rtol=1e-4, atol=1e-5)


def test_the_first_step_has_the_batch_as_candidates_and_later_ones_the_queue(teacher):
    method = student(teacher, temperature=0.3, teacher_temperature=0.1)
    settings = {"temperature": 0.3, "teacher_temperature": 0.1}
    views = views_of(0)
    embedded = tuple(each.detach() for each in method.embed(views))
    expected = [similarity_distillation(embedded[i], embedded[2 + i], **settings) for i in (0, 1)]
    torch.testing.assert_close(method.loss(embedded), torch.stack(expected).mean())
    assert len(method.queue) == 0
    method.after_step(0.0)
    assert len(method.queue) == 11  # twelve rows came, the oldest went
    queued = method.queue.rows("keys").clone()
    rows = nn.functional.normalize(torch.cat(embedded[2:]))
    assert {tuple(each) for each in queued.tolist()} == {tuple(each) for each in rows[1:].tolist()}
    expected = [
        similarity_distillation(embedded[i], embedded[2 + i], queue=queued, **settings)
        for i in (0, 1)
    ]
    torch.testing.assert_close(method.loss(embedded), torch.stack(expected).mean())


def test_regression_matches_unit_rows(teacher):
    method = student(teacher, objective="regression")
    embedded = method.embed(views_of(0))
    expected = (byol(embedded[0], embedded[2]) + byol(embedded[1], embedded[3])) / 2
    torch.testing.assert_close(method.loss(embedded), expected)
    assert method.queue is None
    assert not any("queue" in name for name in method.state_dict())


@pytest.mark.parametrize("objective", ["queue", "regression"])
def test_a_student_comes_to_find_alike_what_its_teacher_does(teacher, objective):
    method = student(teacher, width=8, objective=objective, teacher_temperature=0.001)
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        optimizer.zero_grad()
        loss = method(views_of(0, count=1, batch=16))
        loss.backward()
        optimizer.step()
        method.after_step(step / 60)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_the_teacher_is_neither_trained_nor_saved(teacher):
    method = student(teacher)
    held = load_encoder(teacher).backbone.state_dict()
    method.train()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    method(views_of(0)).backward()
    optimizer.step()
    for name, each in method._teacher.backbone.state_dict().items():
        assert torch.equal(each, held[name]), name
    assert not method._teacher.training
    assert not any("teacher" in name for name in method.state_dict())


def test_the_head_is_as_wide_as_the_teacher(teacher):
    assert student(teacher).projection[-1].out_features == 16
    assert student(teacher, teacher_output="embedding", head="linear").projection.out_features == 6
    assert isinstance(student(teacher, head="identity").projection, nn.Identity)
    with pytest.raises(SettingError, match=r"the student has 32 features and the teacher 16"):
        student(teacher, width=8, head="identity")


def test_what_is_no_teacher_is_refused_in_one_line(teacher, tmp_path):
    with pytest.raises(SettingError, match=r"method.teacher is not set: name the folder"):
        DistillSpec().build(SmallResNetSpec(width=4).build((1, 8, 8)))
    with pytest.raises(NearfarError, match=r"no trained encoder in"):
        student(tmp_path)
    seen = SimpleNamespace(shape=(3, 8, 8), mean=(0.2,) * 3, std=(0.7,) * 3, columns=None)
    with pytest.raises(SettingError, match=r"method.teacher does not fit these data: .*1 channel"):
        student(teacher, views=seen)
    with pytest.raises(SettingError, match=r"method.teacher does not fit these data"):
        student(
            teacher,
            views=SimpleNamespace(shape=(7,), mean=(0.0,) * 7, std=(1.0,) * 7, columns=None),
        )


ROWS = torch.randn(96, 5, generator=torch.Generator().manual_seed(2))


def test_rows_of_an_array_are_matched_by_every_view(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS.numpy())
    method = student(tmp_path / "rows.npy")
    numbers = torch.tensor([7, 3, 95])
    held = method.belonging(numbers)
    embedded = method.embed((*views_of(0, batch=3), *held))
    assert len(embedded) == 4
    assert torch.equal(embedded[2], ROWS[numbers])
    assert torch.equal(embedded[3], ROWS[numbers])
    assert method.projection[-1].out_features == 5


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"features": np.zeros((4, 2, 2))}, r"a row of numbers .*float64 of shape \(4, 2, 2\)"),
        ({"features": np.full((4, 2), np.nan)}, "not finite"),
        ({"features": np.array([["a"]])}, "a row of numbers"),
        ({"rows": np.zeros((4, 2))}, "holds no array called features"),
        ({"features": np.array([{}], dtype=object)}, "is damaged"),
    ],
    ids=range(5),
)
def test_a_file_that_is_no_matrix_is_refused_in_one_line(tmp_path, arrays, said):
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(NearfarError, match=said) as refused:
        student(tmp_path / "rows.npz")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_missing_damaged_or_has_no_head_is_refused(tmp_path):
    with pytest.raises(NearfarError, match=r"method.teacher: there is no .*gone.npy"):
        student(tmp_path / "gone.npy")
    (tmp_path / "torn.npz").write_bytes(b"PK")
    with pytest.raises(NearfarError, match=r"torn.npz is damaged"):
        student(tmp_path / "torn.npz")
    with pytest.raises(SettingError, match=r"method.teacher_output is embedding: .*features alone"):
        DistillSpec(teacher=tmp_path / "rows.npy", teacher_output="embedding")


def test_a_run_learns_from_an_array_and_only_from_that_of_its_examples(tmp_path):
    recipe = small_recipe(tmp_path)
    left_out = ("few_labels", "linear_probe", "map", "gallery")
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, leave_out=left_out))
    part = load_source(recipe.data).train
    rows, file = ROWS[: len(part)].numpy(), tmp_path / "rows.npz"
    examples = part_fingerprint(replace(part, labels=None))
    method = DistillSpec(teacher=file, projection_hidden=8, queue_size=50)
    recipe = replace(recipe, method=method)
    np.savez(file, features=rows[:-1], examples=examples)
    with pytest.raises(
        SettingError, match=rf"{len(part) - 1} rows and the training part {len(part)}"
    ):
        run_recipe(recipe, tmp_path / "run", console=QUIET)
    np.savez(file, features=rows, examples=part_fingerprint(part))
    with pytest.raises(SettingError, match=r"of other examples than the training part"):
        run_recipe(recipe, tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()
    np.savez(file, features=rows, examples=examples)
    seen = []
    with pytest.MonkeyPatch.context() as patched:
        own = Distill.embed
        patched.setattr(Distill, "embed", lambda self, v: seen.append(v[-1]) or own(self, v))
        run_recipe(recipe, tmp_path / "run", console=QUIET)
    held = load_newest(RunFolder(tmp_path / "run").checkpoints).checkpoint
    assert held.scalars["settings"]["teacher (content)"] == TeacherRows.load(file).fingerprint
    known = {tuple(each) for each in rows.tolist()}
    assert all(tuple(row) in known for batch in seen for row in batch.tolist())
    np.savez(file, features=rows + 1, examples=examples)
    with pytest.raises(NearfarError, match=r"made with teacher \(content\)"):
        resume_run(tmp_path / "run", console=QUIET)


def test_in_parts_the_rows_go_with_their_examples(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS.double().numpy())
    views, numbers = views_of(0), torch.tensor([5, 1, 90, 30, 2, 8])
    gradients = []
    for part in (None, 2):
        method = student(tmp_path / "rows.npy")
        norm_each_row(method)
        method.double()
        given = (*(view.double() for view in views), *method.belonging(numbers))
        if part is None:
            method(given).backward()
        else:
            cached_gradients(method, given, None, part)
        gradients.append([each.grad for each in method.parameters()])
    torch.testing.assert_close(*gradients)


def test_any_backbone_learns_from_any_other(tmp_path):
    """A student of vectors from a teacher of another width and depth."""
    spec = MLPSpec(width=12, depth=1)
    shared = {"shape": (5,), "mean": [1e12] * 5, "std": [2.0] * 5}
    save_encoder(tmp_path, spec.build((5,)), spec, **shared)
    seen = SimpleNamespace(shape=(5,), mean=(1e12,) * 5, std=(4.0,) * 5, columns=None)
    method = Distill(
        DistillSpec(teacher=tmp_path, projection_hidden=8), MLPSpec(width=3).build((5,)), seen
    )
    rows = torch.randn(4, 5)
    (_, taught) = method.embed((rows,))
    whole = load_encoder(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(taught, whole(rows.double() * 4 + 1e12), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A run and its teacher, a finished run."""
    folder = tmp_path_factory.mktemp("distilled")
    left_out = ("few_labels", "linear_probe", "map", "gallery")
    recipe = small_recipe(folder)
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, leave_out=left_out))
    run_recipe(recipe, folder / "teacher", console=QUIET)
    method = DistillSpec(teacher=folder / "teacher", projection_hidden=8, queue_size=50)
    small = replace(recipe, method=method, encoder=SmallResNetSpec(width=2))
    run_recipe(small, folder / "student", console=QUIET)
    return folder


def test_a_run_is_distilled_from_a_finished_run(taught):
    student, teacher = load_encoder(taught / "student"), load_encoder(taught / "teacher")
    assert (student.num_features, teacher.num_features) == (8, 16)
    assert load_encoder(taught / "student", "embedding").num_features == 16
    config = json.loads((taught / "student" / "config.json").read_text())
    assert config["method"]["teacher"] == str(taught / "teacher")
    held = load_newest(RunFolder(taught / "student").checkpoints).checkpoint
    assert held.scalars["settings"]["teacher (content)"] == teacher.fingerprint
    assert not any("teacher" in name for name in held.tensors)
    assert "Distillation on npz" in (taught / "student" / "report.html").read_text()


def test_a_moved_teacher_is_the_same_and_another_one_is_refused(taught, tmp_path):
    for name in ("teacher", "student"):
        shutil.copytree(taught / name, tmp_path / name)
    config = tmp_path / "student" / "config.json"

    def taught_by(folder):
        record = json.loads(config.read_text())
        record["method"]["teacher"] = str(folder)
        config.write_text(json.dumps(record))
        RunFolder(tmp_path / "student").manifest.accept(["config.json"])

    taught_by(tmp_path / "teacher")
    resume_run(tmp_path / "student", console=QUIET)
    taught_by(taught / "student")  # of another width: its head has other shapes too
    with pytest.raises(NearfarError, match=r"made with teacher \(content\)"):
        resume_run(tmp_path / "student", console=QUIET)
    taught_by(tmp_path / "gone")
    evaluate_run(tmp_path / "student", console=QUIET)  # judging needs no teacher
    with pytest.raises(NearfarError, match=r"no trained encoder in .*gone"):
        resume_run(tmp_path / "student", console=QUIET)
