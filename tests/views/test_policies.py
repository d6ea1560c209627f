"""AutoAugment and RandAugment: tables, draws and every operation, against torchvision's."""

from collections import Counter
from itertools import product

import pytest
import torch
from photos import photo_patches
from scipy.stats import binomtest, chisquare
from tests.views.torchvision_policies import NAMES, after_policy, by_torchvision
from torchvision.transforms import v2

from nearfar.errors import SettingError
from nearfar.spec import as_spec
from nearfar.views.draws import draw
from nearfar.views.exact import exact_views
from nearfar.views.parameters import ViewParameters
from nearfar.views.policies import AUTOAUGMENT, HIGHEST_LEVEL, RANDAUGMENT, Operation
from nearfar.views.policy_operations import apply_policy
from nearfar.views.specs import PaCoViewsSpec, SimCLRViewsSpec, ViewsSpec

COUNT = 20_000
LEAST_P = 1e-3
TABLES = {
    "autoaugment-cifar10": v2.AutoAugmentPolicy.CIFAR10,
    "autoaugment-imagenet": v2.AutoAugmentPolicy.IMAGENET,
}


def _draws(count=COUNT, channels=3, seed=1, **values):
    parameters = ViewParameters(**{"size": 32} | values)
    return draw(parameters, count, 32, 32, torch.Generator().manual_seed(seed), channels)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_torchvisions(name):
    theirs = v2.AutoAugment(TABLES[name])._policies
    mine = tuple(
        tuple((NAMES[kind], chance, level) for kind, chance, level in each)
        for each in AUTOAUGMENT[name]
    )
    assert mine == tuple(
        tuple((kind, chance, level or 0) for kind, chance, level in each) for each in theirs
    )


@pytest.mark.parametrize(("transform", "highest"), [(v2.AutoAugment, 9), (v2.RandAugment, 30)])
@pytest.mark.parametrize("side", [8, 32, 97])
def test_magnitudes_are_torchvisions(transform, highest, side):
    space = transform._AUGMENTATION_SPACE
    assert len(RANDAUGMENT) == len(v2.RandAugment._AUGMENTATION_SPACE) == 14
    for name, (values, signed) in space.items():
        operation = next(each for each, their_name in NAMES.items() if their_name == name)
        assert operation.signed == signed
        theirs = values(highest + 1, side, side)
        for level in range(highest + 1):
            mine = operation.magnitude(level, highest, side)
            if theirs is None:
                assert mine == 0
            elif name.startswith("Translate"):
                assert mine == int(float(theirs[level]))
            else:
                unit = 255 if name == "Solarize" else 1
                assert mine == pytest.approx(unit * float(theirs[level]), abs=2e-5)


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 32, 32), (1, 17, 17), (3, 2, 2)])
@pytest.mark.parametrize("operation", [each for each in Operation if each])
def test_each_operation_is_torchvisions(operation, channels, height, width):
    photos = photo_patches(64)[:, :channels, :height, :width]
    photos[0], photos[1, :, :, 0] = 77, 255  # one flat image, one with a white edge
    signs = torch.where(torch.arange(64) % 2 == 0, 1.0, -1.0)
    strengths = torch.tensor(
        [operation.magnitude(n % 31, HIGHEST_LEVEL, height) for n in range(64)]
    )
    strengths = strengths * signs if operation.signed else strengths
    if operation is Operation.COLOR and channels != 3:
        return
    result = apply_policy(photos / 255, torch.full((64, 1), operation), strengths[:, None])
    expected = torch.stack(
        [
            by_torchvision(image, operation, float(strength))
            for image, strength in zip(photos, strengths, strict=True)
        ]
    )
    difference = (result * 255 - expected).abs()
    # A position half-way between two pixels, or a value at a whole number, is rounded either way.
    if operation in (Operation.SHEAR_X, Operation.SHEAR_Y, Operation.ROTATE):
        assert (difference > 0.01).float().mean() < 2e-3
    else:
        assert difference.max() <= 1.01
        assert (difference > 0.01).float().mean() < 2e-3
    if height > 2 and operation is not Operation.EQUALIZE:
        assert (result * 255 - photos).abs().mean() > 0.1  # it does something


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [*TABLES, "randaugment"])
def test_whole_policies_are_torchvisions(policy, channels):
    photos = photo_patches(96)[:, :channels]
    parameters = ViewParameters(
        size=32,
        crop_scale=(1.0, 1.0),
        crop_ratio=(1.0, 1.0),
        flip=0.0,
        jitter=0.0,
        policy=policy,
        policy_operations=3,
        policy_magnitude=14,
    )
    draws = draw(parameters, 96, 32, 32, torch.Generator().manual_seed(4), channels)
    assert draws.operations.shape == (96, 3 if policy == "randaugment" else 2)
    expected = torch.stack(
        [
            after_policy(image / 255, *drawn)
            for image, *drawn in zip(photos, draws.operations, draws.magnitudes, strict=True)
        ]
    )
    difference = (exact_views(photos, draws, parameters) - expected).abs()
    assert (difference > 1e-4).float().mean() < 5e-3
    assert difference.mean() < 1e-3


@pytest.mark.parametrize("policy", TABLES)
def test_sub_policies_have_the_published_frequencies(policy):
    draws = _draws(policy=policy)
    expected: Counter = Counter()
    for first, second in AUTOAUGMENT[policy]:
        for happens in product((True, False), repeat=2):
            share, kinds = 1 / 25, []
            for (kind, chance, _), applied in zip((first, second), happens, strict=True):
                share *= chance if applied else 1 - chance
                kinds.append(int(kind) if applied else 0)
            expected[tuple(kinds)] += share
    found = Counter(map(tuple, draws.operations.tolist()))
    assert set(found) <= {pair for pair, share in expected.items() if share}
    pairs = [pair for pair, share in expected.items() if share * COUNT > 5]
    counts = torch.tensor([float(found[pair]) for pair in pairs])
    shares = torch.tensor([expected[pair] for pair in pairs])
    assert abs(counts.sum() / COUNT - shares.sum()) < 0.01
    assert chisquare(counts, shares / shares.sum() * counts.sum()).pvalue > LEAST_P


@pytest.mark.parametrize("policy", TABLES)
def test_magnitudes_belong_to_their_sub_policies_and_go_either_way(policy):
    draws = _draws(policy=policy)
    for step in (0, 1):
        kinds, sizes = draws.operations[:, step], draws.magnitudes[:, step]
        for kind in Operation:
            published = {
                round(kind.magnitude(each[step][2], 9, 32), 4)
                for each in AUTOAUGMENT[policy]
                if each[step][0] == kind and each[step][1]
            }
            found = sizes[kinds == kind]
            if kind and published:
                assert {round(size, 4) for size in found.abs().tolist()} == published
            moving = found[found != 0]
            if kind.signed and len(moving):
                assert binomtest(int((moving > 0).sum()), len(moving), 0.5).pvalue > LEAST_P
            else:
                assert (found >= 0).all()


def test_randaugment_takes_every_operation_as_often_and_each_step_anew():
    draws = _draws(policy="randaugment", policy_operations=2, policy_magnitude=15)
    pairs = 14 * draws.operations[:, 0] + draws.operations[:, 1]
    counts = pairs.bincount(minlength=14 * 14)
    assert len(counts) == 14 * 14
    assert chisquare(counts).pvalue > LEAST_P
    for kind in RANDAUGMENT:
        sizes = draws.magnitudes[draws.operations == kind]
        assert torch.allclose(sizes.abs(), torch.tensor(kind.magnitude(15, 30, 32)))


def test_the_other_choices_do_not_depend_on_the_policy():
    plain, other = _draws(count=50), _draws(count=50, policy="randaugment", cutout=0.5)
    for name in ("top", "flip", "brightness", "order", "sigma"):
        assert torch.equal(getattr(plain, name), getattr(other, name))
    assert torch.equal(_draws(count=50, cutout=0.2).hole, other.hole)


def test_without_policy_and_cutout_the_generator_moves_as_it_always_did():
    for values, columns in (({}, 37), ({"policy": "randaugment"}, 69), ({"cutout": 0.5}, 69)):
        generator, plain = (torch.Generator().manual_seed(3) for _ in range(2))
        draw(ViewParameters(size=8, **values), 5, 8, 8, generator)
        torch.rand(5, 37, generator=plain)
        torch.rand(5, columns - 37, generator=plain)
        assert torch.equal(torch.rand(4, generator=generator), torch.rand(4, generator=plain))


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_without_colour_color_does_nothing(channels):
    drawn = _draws(channels=channels, policy="randaugment")
    assert not (drawn.operations == Operation.COLOR).any()
    with_colour = _draws(policy="randaugment")
    kept = with_colour.operations != Operation.COLOR
    assert torch.equal(drawn.operations[kept], with_colour.operations[kept])
    views = SimCLRViewsSpec(policy="randaugment").build(
        (channels, 16, 16), mean=(0.5,) * channels, std=(0.5,) * channels
    )
    images = torch.randint(0, 256, (40, channels, 16, 20), dtype=torch.uint8)
    assert views.draw(images, torch.Generator().manual_seed(0)).isfinite().all()


@pytest.mark.parametrize("policy", [*TABLES, "randaugment"])
def test_both_implementations_are_one_and_each_image_is_alone(policy):
    photos = photo_patches(40)
    views = {
        name: as_spec(
            ViewsSpec,
            {"name": "simclr", "policy": policy, "cutout": 0.3, "implementation": name},
        ).build((3, 32, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
        for name in ("fused", "exact")
    }
    exact, fused = (each.draw(photos, torch.Generator().manual_seed(2)) for each in views.values())
    assert torch.equal(exact, fused)
    parameters = views["exact"].parameters[0]
    draws = draw(parameters, 40, 32, 32, torch.Generator().manual_seed(2))
    together = exact_views(photos, draws, parameters)
    for number in range(0, 40, 7):
        one = slice(number, number + 1)
        alone = exact_views(photos[one], draws[one], parameters)
        torch.testing.assert_close(alone, together[one], atol=1e-5, rtol=0)


def test_pacos_views_are_those_of_its_program():
    first, second = PaCoViewsSpec().parameters(3, 32)
    assert (first.policy, first.cutout_side, first.flip, first.jitter) == (
        "autoaugment-cifar10",
        16,
        0.5,
        0.0,
    )
    drawn = draw(first, 5000, 32, 32, torch.Generator().manual_seed(0))
    # RandomCrop(32, padding=4): whole, at each of 9 × 9 places.
    assert (drawn.height == 32).all()
    assert (drawn.width == 32).all()
    places = 9 * (drawn.top + 4) + drawn.left + 4
    assert chisquare(places.bincount(minlength=81)).pvalue > LEAST_P
    assert len(places.bincount()) == 81
    assert (second.crop_scale, second.blur, second.policy, second.cutout) == (
        (0.2, 1.0),
        0.5,
        "none",
        0.0,
    )


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"policy": "autoaugment"}, r"views\.policy 'autoaugment': did you mean"),
        ({"policy_magnitude": 9}, r"views\.policy_magnitude is 9: it is RandAugment's"),
        (
            {"policy": "autoaugment-imagenet", "policy_operations": 2},
            r"views\.policy is autoaugment-imagenet: set that to randaugment",
        ),
        ({"policy": "randaugment", "policy_magnitude": 31}, r"policy_magnitude is 31: .* 0 to 30"),
        ({"policy": "randaugment", "policy_operations": 0}, r"policy_operations is 0: .* 1 to 10"),
        ({"cutout": 1.5}, r"views\.cutout is 1.5: it must be 0 to 1"),
        ({"padding": -0.1}, r"views\.padding is -0.1: it must be 0 to 1"),
    ],
)
def test_impossible_settings_are_refused(setting, named):
    with pytest.raises(SettingError, match=named):
        SimCLRViewsSpec(**setting)
