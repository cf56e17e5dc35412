"""`./dev bench torch-step`: a training step of a torch model with one layer of very many experts, as it is and replaced."""
import json
import os
import statistics
import subprocess

import cases

SIDES = {"Adam": "PEER-pytorch, Adam", "compile": "PEER-pytorch under torch.compile, Adam", "SparseAdam": "PEER-pytorch, sparse gradients, SparseAdam",
         "replaced": "peer.replace, peer.optim.AdamW"}
# Of the table's size, what a side's steps need at once; the table itself, and what replacing it takes, are in it.
_TABLES = {"Adam": 5.5, "compile": 5.5, "SparseAdam": 4.5, "replaced": 4.5}


def side(root, python, name, experts, steps, tokens):
    """What one process measures."""
    environment = {**os.environ, "PYTHONPATH": str(root / "runtime/python"), "PEER_OPT": str(root / "build/bin/peer-opt"), "PEER_RUNTIME": str(root / "build/lib/libpeer_runtime.so")}
    done = subprocess.run([python, root / "test/bench/step_side.py", name, f"--experts={experts}", f"--steps={steps}", f"--tokens={tokens}"], env=environment,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{SIDES[name]}: {(done.stderr.strip().splitlines() or [f'ended with {done.returncode}'])[-1]}")
    return json.loads(done.stdout)


def torch_step(bench):
    """Rounds of all sides, each in a process of its own, since tables of all together fit no machine; the first step of a process warms up."""
    python = bench.root / "build/torch-venv/bin/python"
    if not python.exists():
        raise RuntimeError("torch is not in build/torch-venv; ./dev test --torch puts it there")
    experts, rounds, steps, tokens = (2**14, 1, 3, 256) if bench.quick else (2**20, 2, 4, 1024)
    need = 2 * experts * 256 * 4 * max(_TABLES.values()) / cases.GIB
    cases.need_memory(need + 1)
    found = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name in SIDES:
            found[name].append(side(bench.root, python, name, experts, steps, tokens))
            print(f"    {SIDES[name]}: {', '.join(f'{1e3 * each:.0f}' for each in found[name][-1]['seconds'])} ms, "
                  f"{found[name][-1]['above_table_bytes'] / cases.GIB:.2f} GiB above the table", flush=True)
    first = {name: runs[0]["losses"][0] for name, runs in found.items()}
    if max(first.values()) - min(first.values()) > 1e-4 * max(first.values()):
        raise AssertionError(f"losses before training differ: {first}")
    times = {name: statistics.median(each for run in runs for each in run["seconds"][1:]) for name, runs in found.items()}
    above = {name: max(run["above_table_bytes"] for run in runs) for name, runs in found.items()}
    for name, what in SIDES.items():
        ratio = None if name == "replaced" else times[name] / times["replaced"]
        yield cases.Row(f"torch step, {experts} experts, D = 256, T = {tokens}: {what}", times[name] * 1e6, tokens, None, ratio,
                        {"Adam": ">= 8x", "SparseAdam": ">= 4x"}.get(name, ""), step_seconds=times[name], above_table_bytes=above[name],
                        note=f"{times[name] * 1e3:.0f} ms a step, {above[name] / cases.GIB:.2f} GiB above the table at its peak")
