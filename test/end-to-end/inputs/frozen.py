"""Says what a run left as it was: frozen.py WEIGHTS RUN NAME ...

With --without NAME in place of a run it writes the weights without the tensors whose names begin so.
"""
import sys

import tensors

before = tensors.load(sys.argv[1])
if sys.argv[2] == "--without":
    tensors.save("/dev/stdout", {name: value for name, value in before.items() if not name.startswith(sys.argv[3])})
    sys.exit()
after = tensors.load(f"{sys.argv[2]}/weights.safetensors")
header, _ = tensors.header(f"{sys.argv[2]}/checkpoint-{'3' if sys.argv[2] == 'parts' else '6'}.safetensors")
kept = {name for name in before if before[name] == after[name]}
states = {name.removeprefix("state:").rpartition(".")[0] for name in header if name.startswith("state:")}
print("same:", *sorted(kept))
print("moved:", len(before) - len(kept))
print("states of:", len(states), "others" if states.isdisjoint(kept) else "of them frozen ones")
sys.exit(kept != set(sys.argv[3:]))
