"""Which device to compute on: `auto` takes CUDA, else Apple's MPS, else the CPU."""

import functools
from typing import Literal

import torch

Preference = Literal["auto", "cpu", "cuda", "mps"]


@functools.cache
def available() -> tuple[Preference, ...]:
    """The devices of this machine, best first; the CPU is always there. Asked once: drivers take their time."""
    found: list[Preference] = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def choose(preference: str) -> torch.device:
    """The device to use; a preference this machine lacks falls back to the best one it has."""
    names = available()
    return torch.device(preference if preference in names else names[0])


def name(device: torch.device) -> str:
    """The device as a person would call it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
