"""The package as pip installs it from a clone."""
import ast
import os
import pathlib
import shutil
import subprocess
import sys

import peer
from peer import _compile

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "runtime" / "python"
PROGRAM = """
import array, sys
sys.modules["torch"] = sys.modules["numpy"] = None
import peer
text = 'func.func @twice(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {\\n  %y = arith.addf %x, %x : tensor<?x2xf32>\\n  return %y : tensor<?x2xf32>\\n}\\n'
x = memoryview(array.array("f", [1, 2, 3, 4]).tobytes()).cast("f", [2, 2])
print(peer.__file__, peer.compile(text).twice(x).tolist())
"""


def test_installs_from_a_clone(tmp_path):
    """Without torch and numpy. Building leaves files beside the sources, so these are copies."""
    shutil.copytree(SOURCE, tmp_path / "python", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info", "_native"))
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", tmp_path / "here", "./python"],
                   cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "here/peer/py.typed").exists() and (tmp_path / "here/peer/__init__.pyi").exists()
    assert "Tag: py3-none-any" in next((tmp_path / "here").glob("peer_mlir-*.dist-info/WHEEL")).read_text(encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "here"), "PEER_OPT": str(pathlib.Path(os.environ["PEER_OPT"]).resolve())}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"{tmp_path / 'here/peer/__init__.py'} [[2.0, 4.0], [6.0, 8.0]]\n"


def test_artifacts_of_long_ago_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(_compile, "KEPT", 1)
    for age, name in enumerate(("new", "old")):
        (tmp_path / f"{name}.peer").touch()
        os.utime(tmp_path / f"{name}.peer", (1e9 - age, 1e9 - age))
    # One that another process has forgotten between two looks.
    (tmp_path / "gone.peer").symlink_to(tmp_path / "nowhere")
    _compile._forget_old(tmp_path)
    assert [path.name for path in tmp_path.glob("*.peer") if path.exists()] == ["new.peer"]


def test_stubs_name_what_there_is():
    stubs = ast.parse((SOURCE / "peer" / "__init__.pyi").read_text(encoding="utf-8"))
    named = {alias.asname for each in stubs.body for alias in each.names}
    assert named == {*peer.__all__, *peer._TORCH}
    assert all(getattr(peer, name).__doc__ for name in named - {"optim"})
