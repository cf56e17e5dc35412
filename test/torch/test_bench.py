"""What ./dev bench torch-step compares trains alike."""
import json
import pathlib
import sys

import pytest

pytest.importorskip("PEER_pytorch")
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import step_side  # noqa: E402


def test_sides_train_alike(capsys):
    losses = {}
    for side in ("SparseAdam", "replaced"):
        step_side.main([side, "--experts=1024", "--width=32", "--tokens=128", "--steps=6"])
        losses[side] = json.loads(capsys.readouterr().out)["losses"]
    for made, given in zip(losses["replaced"], losses["SparseAdam"]):
        assert abs(made - given) < 1e-3 * given
    assert losses["replaced"][-1] < losses["replaced"][1]
