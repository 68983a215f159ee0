"""Theory and oracles for how heads share one layer."""

import itertools
from typing import Any

import pytest
import torch
from torch.nn import MultiheadAttention

from demos import head_subspaces as demo
from demos.head_subspaces import Params, Result
from demos.kit.lab import Lab, Stopped
from language import Text

LAB = Lab(torch.device("cpu"))


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=LAB.generator(seed))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, tuple[float, bool]]:
    return {claim.id: (claim.measured, claim.holds) for claim in demo.claims(result(**knobs))}


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 32])
def test_the_fused_layout_is_pytorchs_module(heads: int):
    x, into, back = normal(10, 32), normal(32, 96, seed=2) / 6, normal(32, 32, seed=3) / 6
    layer = MultiheadAttention(32, heads, bias=False, batch_first=True)
    with torch.no_grad():
        layer.in_proj_weight.copy_(into.mT)
        layer.out_proj.weight.copy_(back.mT)
        expected, weights = layer(x[None], x[None], x[None], average_attn_weights=False)
    mixed, ours = demo.attend(*demo.fused(x, into, heads))
    torch.testing.assert_close(demo.merge(mixed, back), expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours, weights[0], atol=1e-6, rtol=1e-5)
    assert ours.shape == (heads, 10, 10)


def test_pytorch_refuses_a_width_that_heads_do_not_divide():
    with pytest.raises(AssertionError, match="embed_dim must be divisible by num_heads"):
        MultiheadAttention(32, 3)


def test_a_head_of_the_loop_uses_its_own_columns():
    x, into = normal(5, 8), normal(8, 24, seed=2)
    query, key, value = demo.loop(x, into, 4)
    torch.testing.assert_close(query[2], x @ into[:, 4:6])
    torch.testing.assert_close(key[0], x @ into[:, 8:10])
    torch.testing.assert_close(value[3], x @ into[:, 22:24])


def test_fused_cuts_a_batch_as_it_cuts_a_sequence():
    x, into = normal(3, 5, 8), normal(8, 24, seed=2)
    for whole, one in zip(demo.fused(x, into, 2), demo.fused(x[1], into, 2), strict=True):
        torch.testing.assert_close(whole[1], one)


def test_without_the_transpose_two_tokens_pose_as_eight():
    assert demo.what_stands_where(Params("view", heads=4, tokens=8))[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert demo.what_stands_where(Params("view", heads=4, tokens=8))[3].tolist() == [6, 6, 6, 6, 7, 7, 7, 7]


def test_after_a_fused_product_pytorch_refuses_the_view_but_not_the_reshape():
    query = normal(2, 8, 96).chunk(3, dim=-1)[0]
    assert query.view(2, 8, 4, 8).shape == (2, 8, 4, 8)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        query.view(2, 4, 8, 8)
    assert torch.equal(query.reshape(2, 4, 8, 8), query.contiguous().view(2, 4, 8, 8))


@pytest.mark.parametrize("layout", ["fused", "loop", "slices"])
def test_otherwise_row_t_of_every_head_is_token_t(layout: str):
    assert demo.what_stands_where(Params(layout, heads=4, tokens=8)).tolist() == [list(range(8))] * 4


@pytest.mark.parametrize(("heads", "tokens", "head"), list(itertools.product((2, 4, 16), (1, 3, 5, 16), (1, 2, 16))))
def test_without_the_transpose_a_head_reads_a_stretch_of_the_sequence(heads: int, tokens: int, head: int):
    params = Params("view", heads=heads, tokens=tokens, head=head)
    stands = demo.what_stands_where(params)[params.shown]
    reads = demo.compute(params, LAB).reads
    assert reads.any(1).nonzero().flatten().tolist() == sorted({int(token) for token in stands})
    assert bool(reads.any(0).all())


def test_the_derivative_is_autograds_over_the_whole_head():
    """No number of X whose derivative vanishes for every component of the head is counted as read, and no other."""
    x, into = normal(4, 8), normal(8, 24, seed=2)
    for split in demo.SPLITS.values():
        jacobian = torch.autograd.functional.jacobian(lambda x, split=split: demo.attend(*split(x, into, 2))[0][1], x)
        assert isinstance(jacobian, torch.Tensor)
        assert torch.equal(jacobian.abs().amax((0, 1)) > 0, demo.what_is_read(split, x, into, 2, 1, LAB) > 0)


def test_cutting_the_input_keeps_one_of_h_weights_and_one_slice():
    seen = result(layout="slices", heads=4, head=2)
    assert seen.input_weights == 768
    assert seen.reads.any(0).nonzero().flatten().tolist() == list(range(8, 16))
    torch.testing.assert_close(seen.overlap, torch.eye(4), atol=1e-5, rtol=0)


def test_overlap_is_the_mean_squared_cosine_of_the_principal_angles():
    seen = result(layout="fused", heads=2, width=16)
    generator = LAB.generator(0)
    torch.randn(8, 16, generator=generator)  # x is drawn before the matrices
    columns = torch.randn(16, 48, generator=generator)[:, :16]
    bases = [torch.linalg.svd(columns[:, part], full_matrices=False)[0] for part in (slice(0, 8), slice(8, 16))]
    cosines = torch.linalg.svdvals(bases[0].mT @ bases[1])
    assert seen.overlap[0, 1].item() == pytest.approx(cosines.square().mean().item(), abs=1e-5)


def test_subspaces_of_one_head_is_everything():
    assert result(layout="fused", heads=1).overlap.item() == pytest.approx(1.0, abs=1e-5)
    assert "subspaces_overlap" not in claimed(layout="fused", heads=1)


def test_one_head_or_one_token_forgives_the_missing_transpose():
    for knobs in ({"heads": 1}, {"tokens": 1}):
        assert claimed(layout="view", **knobs)["view_is_harmless"][1]


def test_the_bound_of_one_head_by_enumeration():
    """With s symbols right on (a, a), of the pairs (a, b) and (b, a) among them at most one is right: 7 of 64 fail."""
    assert min((8 - s) + s * (s - 1) // 2 for s in range(9)) == 7


def test_no_linear_readout_of_one_mixture_beats_the_bound():
    """Train the best readout of 2/3 · one + 1/3 · other: the smaller share still fails on at least 7 of 64 pairs."""
    pairs = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    one_hot = torch.nn.functional.one_hot(pairs, 8).float()
    mixture = (one_hot * torch.tensor([[2 / 3], [1 / 3]])).sum(1)  # (pair, symbol)
    readout = torch.zeros(8, 8, requires_grad=True)
    optimizer = torch.optim.Adam([readout], 0.1)
    for _ in range(400):
        loss = torch.nn.functional.cross_entropy(mixture @ readout, pairs[:, 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = int(((mixture @ readout).argmax(-1) == pairs[:, 1]).sum())
    assert right <= 57


def test_removing_a_head_takes_its_target_and_nothing_else():
    trained = result(trained=2).trained
    assert trained.intact.tolist() == [1.0, 1.0]
    served = trained.looks[:, 1:3].argmax(-1)  # (head,): which target the head looks at
    assert sorted(served.tolist()) == [0, 1]
    for head in range(2):
        assert trained.ablated[head, served[head]].item() == pytest.approx(1 / 8, abs=0.02)
        assert trained.ablated[head, 1 - served[head]].item() == 1.0


def test_without_its_only_head_the_layer_guesses_one_of_eight():
    assert result(trained=1).trained.ablated.tolist() == [[0.125, 0.125]]


def test_a_head_may_look_at_a_target_and_still_be_spare():
    trained = result(trained=4).trained
    looking = trained.looks[:, 1] > 0.9
    spare = (trained.ablated == 1).all(-1)
    assert bool((looking & spare).any())


def test_the_trained_model_cannot_see_the_future():
    layer = demo.train(LAB, 2, 0)
    symbols = torch.randint(8, (1, 12), generator=LAB.generator(5))
    changed = symbols.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 8
    before, after = (demo.name_symbols(layer, each, 2, torch.ones(2))[0] for each in (symbols, changed))
    moved = (before != after).flatten(2).any(-1)[0].nonzero().flatten() + 2
    assert moved.min().item() == 7


def test_training_is_remembered_reports_progress_and_stops_when_the_learner_leaves():
    assert demo.train(LAB, 1, 9) is demo.train(LAB, 1, 9)
    assert not torch.equal(demo.train(LAB, 1, 9)["back"], demo.train(LAB, 1, 8)["back"])

    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), 1, 10)


def test_the_prediction_answers_from_what_was_read():
    seen = result(layout="fused", heads=16, tokens=16)
    assert demo.right_option(seen) == "two"
    everything = Result(**{**vars(seen), "forgotten": torch.ones(8, 32)})
    assert demo.right_option(everything) == "all"
    one_slice = Result(**{**vars(seen), "forgotten": torch.ones(8, 32) * (torch.arange(32) < 8)})
    assert demo.right_option(one_slice) == "slice"
