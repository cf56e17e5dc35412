"""What ./dev bench torch-step compares trains alike."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("PEER_pytorch")
SIDE = pathlib.Path(__file__).resolve().parents[1] / "bench" / "step_side.py"


def losses(side):
    done = subprocess.run([sys.executable, SIDE, side, "--experts=1024", "--width=32", "--tokens=128", "--steps=6"], check=True, capture_output=True, text=True, env=os.environ)
    return json.loads(done.stdout)["losses"]


def test_sides_train_alike():
    wanted = losses("SparseAdam")
    for made, given in zip(losses("replaced"), wanted):
        assert abs(made - given) < 1e-3 * given
    assert wanted[-1] < wanted[1]
