"""peer.convert without any package: the layout of a tiny layer by hand, and its way back. Works in the current directory."""
import pathlib

import tensors
from peer import convert

# [2*H*d, D] = [8, 2] with rows (half, head, component); H = 2, d = 2, n = 2, N = 4.
theirs = {"m.to_queries.0.weight": tensors.floats([8, 2], range(16)), "m.keys": tensors.floats([2, 2, 2, 2], range(16)),
          "m.weight_down_embed.weight": tensors.floats([4, 2], range(8)), "m.weight_up_embed.weight": tensors.floats([4, 2], range(100, 108)),
          "m.norm.gamma": tensors.floats([2], [0.5, -0.25]), "head.weight": tensors.floats([1], [7])}
tensors.save("theirs.safetensors", theirs)
print(convert.main(["theirs.safetensors", "--out", "layer.mlir", "--weights", "ours.safetensors"]))
for name, (_, shape, values) in sorted(tensors.load("ours.safetensors").items()):
    print(name, shape, [int(value * 100) / 100 for value in values])
print(pathlib.Path("layer.mlir").read_text(encoding="utf-8"))
print(convert.main(["ours.safetensors", "--back", "--weights", "back.safetensors"]))
back = tensors.load("back.safetensors")
print("back:", all(back[name[2:]] == value for name, value in theirs.items() if name.startswith("m.")), len(back))
del theirs["m.keys"]
tensors.save("theirs.safetensors", {**theirs, "m.more": tensors.floats([1], [0])})
print(convert.main(["theirs.safetensors", "--out", "none.mlir", "--weights", "none.safetensors"]))
print(convert.main(["layer.mlir", "--out", "none.mlir", "--weights", "none.safetensors"]))
print(convert.main(["theirs.safetensors", "--weights", "none.safetensors"]))
print(sorted(str(path) for path in pathlib.Path(".").iterdir()))
