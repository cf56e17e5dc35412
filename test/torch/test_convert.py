"""python -m peer.convert: layers of state dicts, run by peer-run, and back."""
import os
import pathlib
import subprocess

import pytest
from conftest import layer, near, original, torch

import peer
from peer import convert

safetensors = pytest.importorskip("safetensors.torch")


def run(folder, x, description="layer.mlir"):
    """What peer-run computes of it."""
    compiler = pathlib.Path(os.environ["PEER_OPT"]).resolve()
    safetensors.save_file({"x": x}, folder / "x.safetensors")
    subprocess.run([compiler.parent / "peer-run", "call", description, "layer", "--weights", "w.safetensors", "--in", "x.safetensors", "--out", "y.safetensors"],
                   cwd=folder, check=True, env={**os.environ, "PEER_OPT": str(compiler)}, stdout=subprocess.DEVNULL)
    return safetensors.load_file(folder / "y.safetensors")["y"]


def converted(folder, *options, out=True):
    made = ["--out", str(folder / "layer.mlir")] if out else []
    return convert.main([str(folder / "model.safetensors"), "--weights", str(folder / "w.safetensors"), *made, *options])


COMPETING = ["--experts-per-head", "4", "--gate", "softmax"]


@pytest.mark.parametrize("kind, given, options", [
    ("peer", {}, []), ("peer", {"non_competing_scores": False, "pre_rmsnorm": True}, COMPETING),
    ("peer", {"activation": torch.nn.SiLU}, ["--activation", "silu"]), ("pkm", {}, ["--experts-per-head", "4"]),
    ("pkm", {"non_competitive_gates": True}, ["--experts-per-head", "4", "--gate", "relu"])])
def test_runs_without_torch_and_comes_back(kind, given, options, tmp_path, capsys):
    theirs = original(kind, **given)
    state = {f"module.layers.3.{name}": value.contiguous() for name, value in theirs.state_dict().items()}
    safetensors.save_file({**state, "module.head.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    assert converted(tmp_path, "--prefix", "layers.3", *options) == 0
    said = capsys.readouterr().out
    assert f'lucidrains-{kind} at "module.layers.3.", where a wrapper put "module." before the model\'s own names' in said
    x = torch.randn(5, 16)
    near(run(tmp_path, x), theirs(x[None])[0])
    os.replace(tmp_path / "w.safetensors", tmp_path / "model.safetensors")
    assert converted(tmp_path, "--back", out=False) == 0
    back = safetensors.load_file(tmp_path / "w.safetensors")
    assert set(back) == set(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        near(back[name], value, name, within=1e-6 if name == "norm.gamma" else 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_files_are_widened(dtype, tmp_path, capsys):
    theirs = original().to(dtype)
    safetensors.save_file({name: value.contiguous() for name, value in theirs.state_dict().items()}, tmp_path / "model.safetensors")
    assert converted(tmp_path) == 0
    said = capsys.readouterr().out
    assert f"{'BF16' if dtype == torch.bfloat16 else 'F16'} is widened to F32: keys, " in said
    assert "taken as lucidrains-peer's defaults: --experts-per-head 1 --gate relu --activation gelu" in said
    x = torch.randn(5, 16)
    near(run(tmp_path, x), theirs.float()(x[None])[0])


def test_a_replaced_model(tmp_path, capsys):
    torch.manual_seed(3)
    old = torch.nn.Sequential(torch.nn.Linear(16, 16), original(), original("pkm"))
    new = peer.replace(torch.nn.Sequential(*old), verbose=False)
    safetensors.save_model(new, tmp_path / "model.safetensors")
    assert converted(tmp_path) == 1
    assert 'the file holds 2 layers: say which by --prefix, one of "1." (peer), "2." (peer)' in capsys.readouterr().err
    assert converted(tmp_path, "--prefix", "1", "--experts-per-head", "1", "--gate", "relu") == 0
    x = torch.randn(5, 16)
    near(run(tmp_path, x), new[1](x))
    assert converted(tmp_path, "--back", out=False) == 0
    back = safetensors.load_file(tmp_path / "w.safetensors")
    wanted = old.state_dict()
    assert set(back) == set(wanted) and all(torch.equal(back[name], wanted[name]) for name in wanted)


def test_shared_keys_and_gated_rows(tmp_path, capsys):
    ours = layer(shared_keys=True, row="guv")
    safetensors.save_model(ours, tmp_path / "model.safetensors")
    tool = pathlib.Path(os.environ["PEER_OPT"]).resolve().parent / "peer-run"
    listed = subprocess.run([tool, "inspect", tmp_path / "model.safetensors"], check=True, capture_output=True, text=True).stdout
    assert all(any(name in line and str(list(tensor.shape)) in line for line in listed.splitlines()) for name, tensor in ours.state_dict().items()), listed
    assert converted(tmp_path, "--experts-per-head", "4") == 0
    x = torch.randn(5, 16)
    near(run(tmp_path, x), ours(x))
    assert converted(tmp_path, "--back", out=False) == 1
    assert "a layer with rows of 3 vectors is none of lucidrains' PEER or PKM" in capsys.readouterr().err


def test_refused(tmp_path, capsys):
    def said(state, *options):
        safetensors.save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "model.safetensors")
        assert converted(tmp_path, *options) == 1
        assert not list(tmp_path.glob("*.mlir")) and not (tmp_path / "w.safetensors").exists()
        return capsys.readouterr().err
    state = original().state_dict()
    wrong = {name: value for name, value in state.items() if name not in ("keys", "weight_up_embed.weight")}
    assert ("the layer (lucidrains-peer) lacks weight_up_embed.weight, keys and has bias, other, which no such layer has"
            in said({**wrong, "bias": torch.ones(1), "other": torch.ones(1)}))
    assert "has separate_embed_per_head" in said(original(separate_embed_per_head=True).state_dict())
    assert "has concat_values_and_combine" in said(original("pkm", concat_values_and_combine=True).state_dict())
    assert "has pre_layernorm" in said(original("pkm", pre_layernorm=True).state_dict())
    assert "to_queries.0.weight has the shape [8, 16], expected [32, D]" in said({**state, "to_queries.0.weight": torch.ones(8, 16)})
    assert "keys is F64; expected F32, BF16 or F16" in said({**state, "keys": state["keys"].double()})
    assert "no layer is in the file (its names begin weight" in said({"weight": torch.ones(1)})
    assert "experts_per_head is 9, and there are 8 keys in each half" in said(state, "--experts-per-head", "9")
    assert "of the kind lucidrains-pkm is in the file" in said(state, "--kind", "lucidrains-pkm")
