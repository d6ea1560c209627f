"""What is measured of a training on a long tail, against slow references."""

import math

import numpy as np
import pytest
import torch
from papers.measurements import values, where
from papers.paco import in_training
from papers.paco.instrumented import shares, shares_of, steps
from papers.paco.setup import METHODS
from papers.reproductions.reproduction import of_seed
from torch.nn.functional import cross_entropy

from nearfar.data.specs import DigitsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.methods.labelled_specs import CrossEntropySpec, PaCoSpec, SupConQueueSpec, SupConSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import DigitsViewsSpec

SMALL = {
    "cross-entropy": CrossEntropySpec(),
    "supcon": SupConSpec(projection_hidden=8, projection_dim=4),
    "supcon-queue": SupConQueueSpec(queue_size=100, projection_hidden=8, projection_dim=4),
    "paco": PaCoSpec(queue_size=100, head="mlp", projection_hidden=8, projection_dim=4),
}


def small(method: str) -> Recipe:
    return Recipe(
        data=DigitsSpec(imbalance_factor=20.0, tail_order="drawn"),
        views=DigitsViewsSpec(count=SMALL[method].least_views),
        encoder=SmallResNetSpec(width=4),
        method=SMALL[method],
        training=TrainingSpec(
            epochs=4,
            batch_size=32,
            optimizer=AdamWSpec(learning_rate=3e-3),
            threads=1,
            precision="fp32",
        ),
    )


def slow_shares(queries, labels, samples, sample_labels, temperature, centres=None):
    """Query by query, sample by sample."""
    found = []
    for i, query in enumerate(queries):
        weights = {}
        for j, sample in enumerate(samples):
            if j != i:
                cosine = float(query @ sample / query.norm() / sample.norm())
                weights[j] = math.exp(cosine / temperature)
        of_centres = [] if centres is None else [math.exp(float(each)) for each in centres[i]]
        total = sum(weights.values()) + sum(of_centres)
        own = [j for j in weights if sample_labels[j] == labels[i]]
        pair = sum(weights[j] for j in own) / len(own) / total
        centre = 0.0 if centres is None else of_centres[int(labels[i])] / total
        found.append((len(own), pair, centre))
    return np.array(found)


@pytest.mark.parametrize("with_centres", [False, True])
def test_shares_are_those_of_the_loops(with_centres):
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    labels, queries = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1]), samples[:3]
    centres = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    centres = centres if with_centres else None
    found = shares(queries, labels[:3], samples, labels, temperature=0.3, centres=centres)
    slow = slow_shares(queries, labels[:3], samples, labels, 0.3, centres)
    np.testing.assert_allclose(torch.stack(list(found), dim=1), slow, rtol=1e-12)


@pytest.mark.parametrize("method", ["supcon", "supcon-queue", "paco"])
def test_a_step_sees_the_samples_that_its_loss_saw(method):
    """All views of the batch, and of a queue what had entered before the step."""
    assembly = assemble(of_seed(small(method), 0))
    for number, step in enumerate(steps(assembly)):
        if number < 5:
            continue
        found, classes = shares_of(step)
        if method == "supcon":
            assert found.positives.tolist() == [
                2 * int((step.labels == label).sum()) - 1 for label in classes
            ]
            break
        # The queue as the loss saw it: five batches entered, of which the last 100 rows stay.
        queued = step.method.queue.rows("labels")
        assert len(queued) == 100
        assert found.positives.tolist() == [
            2 * int((step.labels == label).sum()) - 1 + int((queued == label).sum())
            for label in classes
        ]
        break
    assert (found.pair * found.positives + found.centre <= 1 + 1e-9).all()


def test_a_pull_is_the_derivative_of_each_examples_own_loss():
    """Of cross-entropy, example by example: a loss depends on its own features alone."""
    assembly = assemble(of_seed(small("cross-entropy"), 0))
    images, _, _ = next(assembly.batches.epoch(0))
    (view,) = assembly.views(images, torch.Generator().manual_seed(0))
    step = next(steps(assembly))
    method = step.method
    for row in range(4):
        features = method.encoder(view).detach()[row].requires_grad_()
        loss = cross_entropy(method.classifier(features), step.labels[row])
        (gradient,) = torch.autograd.grad(loss, features)
        assert float(step.pull[row]) == pytest.approx(float(gradient.norm()), rel=1e-4)


def test_a_run_is_told_by_size_of_class_and_by_epoch():
    data = in_training.measure(0, setups=small, among=3)
    assert set(data["method"]) == set(METHODS) - {"balanced-softmax"}
    paco = where(data, method="paco")
    assert values(where(paco, measured="centre by epoch"), "x").tolist() == [1, 2, 3, 4]
    for method, wanted in (
        ("cross-entropy", {"pull", "row"}),
        ("supcon", {"pull", "pair"}),
        ("supcon-queue", {"pull", "pair", "queued"}),
        ("paco", {"pull", "row", "pair", "centre", "queued", "centre by epoch"}),
    ):
        assert set(where(data, method=method)["measured"]) == wanted
    queued = where(paco, measured="queued")
    np.testing.assert_allclose(values(queued, "value"), values(queued, "expected"), rtol=0.35)
    assert (np.diff(values(queued, "value")) < 0).all()
    # α/(1 + αK) and 1/(1 + αK) of the same K; means over queries keep their ratio.
    pair, centre = (values(where(paco, measured=each), "expected") for each in ("pair", "centre"))
    np.testing.assert_allclose(pair, SMALL["paco"].alpha * centre, rtol=1e-9)
    several = [data.assign(seed=seed, value=data["value"] * (1 + seed)) for seed in (0, 1)]
    rows = in_training.pd.concat(several, ignore_index=True)
    assert len(in_training.draw(rows).axes) == 6
    told = in_training.findings(rows)
    assert "| PaCo, the centre |" in told
    assert "nan" not in told
