import math

import pytest
import torch
import torch.nn.functional as F

from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.stages import layers, stages
from nearfar.encoders.text_encoders import Block, turned
from nearfar.encoders.text_specs import (
    TextBagSpec,
    TextCausalTransformerSpec,
    TextGRUSpec,
    TextTransformerSpec,
)
from nearfar.encoders.tokens import BPETokens, learn_merges
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.text_bytes import encoded
from nearfar.training.generators import OwnDraws
from nearfar.training.gradient_caching import cached_gradients

TEXTS = ["a small dog", "", "☃ snow and more snow, all of the day", "dog"]
SPECS = [
    TextBagSpec(width=8, buckets=64),
    TextBagSpec(width=8, buckets=64, runs=2, tokens="bpe", vocabulary=270),
    TextGRUSpec(width=8),
    TextGRUSpec(width=8, pooling="last"),
    TextTransformerSpec(width=8, heads=2),
    TextCausalTransformerSpec(width=8, heads=2),
    TextCausalTransformerSpec(width=8, heads=2, pooling="last"),
    TextTransformerSpec(width=8, heads=2, pooling="cls", tokens="bpe", vocabulary=270),
]
every_encoder = pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.name} {s.tokens}")


def _built(spec, seed=0):
    with OwnDraws(seed):
        encoder = spec.build((48,))
        for name, value in spec.learn(encoded(TEXTS, 48)[0]).items():
            encoder.get_buffer(name).copy_(value)
    return encoder


@every_encoder
def test_features_do_not_depend_on_what_stands_beside_or_behind_a_text(spec):
    encoder = _built(spec).double().eval()
    together = encoder(encoded(TEXTS, 48)[0])
    assert together.shape == (4, encoder.num_features)
    assert together.isfinite().all()
    for row, text in enumerate(TEXTS):
        for length in (40, 100):
            torch.testing.assert_close(encoder(encoded([text], length)[0])[0], together[row])


@every_encoder
def test_all_weights_are_trained_and_dropout_makes_two_passes_differ(spec):
    encoder = _built(spec).train()
    rows = encoded(TEXTS, 48)[0]
    first, second = encoder(rows), encoder(rows)
    assert not torch.equal(first, second)
    first.square().sum().backward()
    assert all(
        each.grad is not None and each.grad.isfinite().all() for each in encoder.parameters()
    )


@every_encoder
def test_order_counts_but_in_a_bag(spec):
    encoder = _built(spec).double().eval()
    one, other = encoder(encoded(["ab cd", "cd ab"], 48)[0])
    assert not torch.allclose(one, other)  # runs across the words differ in the bag, too


@every_encoder
def test_it_comes_back_from_disk_with_its_tokeniser_and_takes_strings(tmp_path, spec):
    encoder = _built(spec).eval()
    save_encoder(tmp_path, encoder, spec, shape=(48,), mean=(), std=())
    loaded = load_encoder(tmp_path)
    assert (loaded.modality, loaded.shape) == ("texts", (48,))
    rows = encoded(TEXTS, 48)[0]
    torch.testing.assert_close(loaded(TEXTS), encoder(rows), rtol=0, atol=0)
    torch.testing.assert_close(loaded(rows[:, :20]), encoder(rows[:, :20]))
    long = "☃" * 40
    torch.testing.assert_close(loaded([long]), loaded([long[:16]]))
    torch.testing.assert_close(loaded(encoded([long], 120)[0]), loaded([long[:16]]))
    torch.testing.assert_close(loaded.bfloat16()(TEXTS).float(), encoder(rows), rtol=0.1, atol=0.1)


def test_what_is_no_text_is_refused(tmp_path):
    spec = SPECS[0]
    save_encoder(tmp_path, _built(spec), spec, shape=(48,), mean=(), std=())
    loaded = load_encoder(tmp_path)
    with pytest.raises(NearfarError, match=r"takes texts of 48 bytes as a list .* a string alone"):
        loaded("one text")
    with pytest.raises(NearfarError, match=r"1 of 2 texts are no strings \(such as NoneType\)"):
        loaded(["one", None])
    with pytest.raises(NearfarError, match="in uint8, not float32"):
        loaded(torch.zeros(2, 48))
    with pytest.raises(NearfarError, match="takes texts of 48 bytes, not"):
        loaded(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))


def test_stages_from_the_texts_up():
    encoder = _built(TextTransformerSpec(width=8, heads=2, depth=3))
    assert len(stages(encoder)) == len(layers(encoder)) == 4
    assert len(stages(_built(SPECS[2]))) == 2


def test_settings_that_cannot_be():
    with pytest.raises(SettingError, match="a multiple of 8, of twice as many"):
        TextTransformerSpec(width=12, heads=4)
    with pytest.raises(SettingError, match=r"vocabulary is 257: it must be 258"):
        TextGRUSpec(vocabulary=257)
    with pytest.raises(SettingError, match="dropout"):
        TextBagSpec(dropout=1.0)


def test_positions_tell_how_far_apart_two_tokens_stand():
    query, key = torch.randn(2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def product(first, second):
        at = torch.zeros(1, 1, 12, 8, dtype=torch.float64)
        at[0, 0, first], at[0, 0, second] = query, key
        placed = turned(at)[0, 0]
        return float(placed[first] @ placed[second])

    # cos and sin are float32's.
    assert product(1, 4) == pytest.approx(product(7, 10), rel=1e-5)
    assert abs(product(1, 4) - product(1, 5)) > 1e-3
    # By the equation: pair (x_i, x_{i+4}) at place t turns by t · 10000^(−i/4).
    at = torch.zeros(1, 1, 6, 8, dtype=torch.float64)
    at[0, 0, 5] = query
    for i in range(4):
        angle = 5 * 10_000 ** (-i / 4)
        x, y = float(query[i]), float(query[i + 4])
        placed = turned(at)[0, 0, 5]
        assert float(placed[i]) == pytest.approx(
            x * math.cos(angle) - y * math.sin(angle), rel=1e-4
        )
        assert float(placed[i + 4]) == pytest.approx(
            x * math.sin(angle) + y * math.cos(angle), rel=1e-4
        )


def test_attention_is_softmax_over_the_tokens_that_are_there():
    torch.manual_seed(0)
    block = Block(8, 2, 0.0).double().eval()
    states = torch.randn(1, 5, 8, dtype=torch.float64)
    seen = torch.tensor([[True, True, True, False, False]])
    query, key, value = (
        each.view(5, 2, 4).transpose(0, 1) for each in block.qkv(block.norm1(states))[0].chunk(3, 1)
    )
    query, key = turned(query[None])[0], turned(key[None])[0]
    scores = query @ key.transpose(1, 2) / 2
    scores[:, :, 3:] = -math.inf
    looked = (scores.softmax(dim=2) @ value).transpose(0, 1).reshape(5, 8)
    expected = states[0] + F.linear(looked, block.proj.weight, block.proj.bias)
    expected = expected + block.mlp(block.norm2(expected))
    torch.testing.assert_close(block(states, seen)[0], expected)


def test_merges_are_those_that_came_together_most_often_and_spell_every_text():
    texts = ["low lower lowest low low", "new newer newest"] * 20
    merges = learn_merges(texts, 12)
    assert torch.equal(merges, learn_merges(texts, 12)), "the same every time"
    tokens = BPETokens(12)
    plain = tokens(encoded(["low ☃"], 20)[0])
    assert plain[0].tolist() == [1 + byte for byte in "low ☃".encode()], "bytes before it learns"
    tokens.merges.copy_(merges)
    ids = tokens(encoded(["low low", "☃", "lowest"], 20)[0])
    assert (ids[0] > 0).sum() < len("low low")
    assert ids.max() < tokens.size
    spelt = {number: bytes([number - 1]) for number in range(1, 257)}
    for row, (first, second) in enumerate(merges.tolist()):
        if first > 0:
            spelt[257 + row] = spelt[first] + spelt[second]
    for text, row in zip(["low low", "☃", "lowest"], ids.tolist(), strict=True):
        assert b"".join(spelt[each] for each in row if each).decode() == text
    few = learn_merges(["ab"], 12)
    assert (few[:, 0] > 0).sum() == 1, "there was no more to merge"


@pytest.mark.parametrize("spec", SPECS[2::2], ids=lambda s: s.name)
def test_in_parts_a_batch_has_the_gradients_of_the_whole(spec):
    rows, _ = encoded([f"{text} {number}" for number, text in enumerate(TEXTS * 3)], 48)
    gradients = []
    for size in (12, 5):
        with OwnDraws(3):
            method = SimCLRSpec(projection_hidden=8, projection_dim=4).build(_built(spec))
            method.projection[1] = torch.nn.LayerNorm(8)
        method = method.double().eval()
        cached_gradients(method, (rows, rows.flip(0)), None, size)
        gradients.append([each.grad for each in method.parameters()])
    torch.testing.assert_close(*gradients)
