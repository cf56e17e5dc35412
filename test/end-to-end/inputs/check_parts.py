"""What conversions that leave parts out say they do, from the definitions.

check_parts.py greedy DIR            what goes first is the block that the report calls least important
check_parts.py rename OLD REPORT NEW writes the parameters that are left, blocks by their new numbers
check_parts.py same DIR EVAL         the loss of a report is that of an evaluation, bit for bit
check_parts.py exact DIR             both losses of a report
check_parts.py trained DIR RUN       what training moved, and whether it helped
check_parts.py learnt DIR RUN        whether training helped
"""
import json
import sys

import tensors


def read(path):
    with open(path) as file:
        return json.load(file)


def greedy(folder):
    report = read(f"{folder}/report.json")
    least = min(report["layers"], key=lambda layer: layer["importance"])["name"]
    print("the first is the least important:", report["curve"][0]["dropped"] == least)


def rename(old, report, new):
    dropped = {layer["name"] for layer in read(report)["layers"] if layer["dropped"]}
    kept = [name for name in ("blocks.0", "blocks.1", "blocks.2") if name not in dropped]
    result = {}
    for name, tensor in tensors.load(old).items():
        block = ".".join(name.split(".")[:2])
        if block in kept:
            result[f"blocks.{kept.index(block)}" + name[len(block):]] = tensor
        elif block not in dropped:
            result[name] = tensor
    tensors.save(new, result)


def same(folder, evaluated):
    print("the loss is that of the description:", read(f"{folder}/report.json")["after"]["loss"] == read(evaluated)["loss"])


def exact(folder):
    report = read(f"{folder}/report.json")
    print("same loss:", abs(report["after"]["loss"] - report["before"]["loss"]) < 2e-6)


def has_learnt(folder, run):
    with open(f"{run}/log.jsonl") as file:
        loss = [json.loads(line).get("eval_loss") for line in file][-1]
    return loss < read(f"{folder}/report.json")["after"]["loss"]


def trained(folder, run):
    before, after = tensors.load(f"{folder}/weights.safetensors"), tensors.load(f"{run}/weights.safetensors")
    dense = [name for name in before if name.endswith(("ffw.up.weight", "ffw.down.weight"))]
    new = [name for name in before if name.endswith(("ffw.experts", "ffw.router"))]
    print(f"frozen: {sum(before[name] == after[name] for name in dense)} of {len(dense)}, moved: "
          f"{sum(before[name] != after[name] for name in new)} of {len(new)} adapters and routers, "
          f"learnt on: {has_learnt(folder, run)}")


def learnt(folder, run):
    print("learnt on:", has_learnt(folder, run))


{"greedy": greedy, "rename": rename, "same": same, "exact": exact, "trained": trained, "learnt": learnt}[sys.argv[1]](*sys.argv[2:])
