"""Three tools for explaining a network that know nothing of the network: rollout, a gradient, a linear probe."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def rollout(weights: list[Tensor]) -> Tensor:
    """Product over layers of half the mean attention, half the identity."""
    rolled = torch.eye(weights[0].shape[-1], device=weights[0].device)
    for attention in weights:
        half = (attention.mean(-3) + torch.eye(attention.shape[-1], device=attention.device)) / 2
        rolled = half @ rolled
    return rolled  # (network, example, query, key)


def gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂F/∂x for every example."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]  # (network, example, position, feature)


def probe(states: Tensor, labels: Tensor, tested: Tensor, truth: Tensor) -> float:
    """Accuracy of a linear probe: ridge regression to one-hot labels, in fp64 on the CPU."""
    seen, new = (F.pad(rows.cpu().double(), (0, 1), value=1.0) for rows in (states, tested))  # a bias
    ridge = 1e-3 * torch.eye(seen.shape[-1], dtype=torch.float64)
    weights = torch.linalg.solve(seen.mT @ seen + ridge, seen.mT @ F.one_hot(labels.cpu()).double())
    return ((new @ weights).argmax(-1) == truth.cpu()).double().mean().item()
