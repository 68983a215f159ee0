"""Attention in time linear in n: the same numbers as a mask, and as one product of n × n."""

import pytest
import torch
import torch.nn.functional as F

from demos.kit.counting import count
from demos.kit.linear_time import full, hidden, linear_at_once, linear_attention, windowed


def drawn(length: int, width: int) -> tuple[torch.Tensor, ...]:
    return torch.randn(3, length, width, generator=torch.Generator().manual_seed(0)).unbind()


def masked(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int) -> torch.Tensor:
    seen = ~hidden(len(query), window)
    return F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=seen)[0]


@pytest.mark.parametrize(("length", "window"), [(64, 1), (64, 16), (65, 16), (63, 16), (9, 4), (10, 10), (10, 99)])
def test_blocks_give_what_a_mask_gives(length: int, window: int):
    tensors = drawn(length, 8)
    torch.testing.assert_close(windowed(*tensors, window=window), masked(*tensors, window=window), atol=1e-6, rtol=0)


def test_full_attention_is_pytorchs_causal_attention():
    query, key, value = drawn(50, 8)
    expected = F.scaled_dot_product_attention(query[None], key[None], value[None], is_causal=True)[0]
    torch.testing.assert_close(full(query, key, value), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 64])
def test_chunks_give_what_one_product_gives(length: int):
    tensors = drawn(length, 8)
    torch.testing.assert_close(linear_attention(*tensors), linear_at_once(*tensors), atol=1e-5, rtol=1e-5)


def test_linear_attention_is_a_recurrence_with_a_state_of_constant_size():
    """Katharopoulos et al., equations 18 to 20, one token after another."""
    query, key, value = drawn(20, 8)
    state, total, outputs = torch.zeros(8, 8), torch.zeros(8), []
    for q, k, v in zip(F.elu(query) + 1, F.elu(key) + 1, value, strict=True):
        state, total = state + torch.outer(k, v), total + k
        outputs.append(q @ state / (q @ total))
    torch.testing.assert_close(linear_attention(query, key, value), torch.stack(outputs), atol=1e-5, rtol=1e-5)


def test_the_future_changes_nothing():
    before, after = drawn(40, 8), drawn(40, 8)
    for tensor in after:
        tensor[30:] = 7.0
    for method in (full, lambda *x: windowed(*x, window=8), linear_attention):
        torch.testing.assert_close(method(*before)[:30], method(*after)[:30])


def test_shapes_without_numbers_cost_the_same_flops():
    real, hollow = drawn(100, 8), torch.empty(3, 100, 8, device="meta").unbind()
    for method in (full, lambda *x: windowed(*x, window=16), linear_attention):
        assert count(lambda method=method: method(*real)).flops == count(lambda method=method: method(*hollow)).flops
