"""What the learner's device says, and when a machine is called noisy."""

import torch

from demos.kit.lab import Lab
from demos.kit.measured import Measured, measure


def test_every_way_is_clocked_and_its_peak_is_read():
    x = torch.ones(1000)
    notes: list[float] = []
    lab = Lab(torch.device("cpu"), lambda fraction, _note: notes.append(fraction))
    seen = measure(lab, {"once": lambda: x.exp(), "twice": lambda: (x.exp(), x.exp())}, repeats=3)
    assert seen.peaks == {"once": 4000, "twice": 8000}
    assert [len(seconds) for seconds in seen.seconds.values()] == [3, 3]
    assert all(milliseconds > 0 for milliseconds in seen.middle.values())
    assert notes  # the learner sees that something runs


def test_a_noisy_machine_is_named():
    quiet, noisy = torch.tensor([1.0, 1.0, 1.1]) / 1e3, torch.tensor([1.0, 3.0, 5.0]) / 1e3
    assert Measured({"one": quiet}, {}).warning == ("", "")
    english, chinese = Measured({"one": quiet, "other": noisy}, {}).warning
    assert "noisy" in english
    assert "干扰" in chinese
    assert Measured({"other": noisy}, {}).middle["other"] == torch.tensor(3.0)
