"""Checks an explanation of peer_layer_small.mlir: usage: check_explanation.py EXPLANATION.json TARGET"""
import json
import shutil
import sys

explanation = json.load(open(sys.argv[1], encoding="utf-8"))
target = explanation["target"]
assert sys.argv[2] == target.get("arch", target["cpu"]), target
assert explanation["model"] == "peer_layer_small.mlir"
entries = {entry["name"]: entry["kernels"] for entry in explanation["entries"]}
assert set(entries) == {"layer", "layer_grad"}, entries.keys()
forward = [op["op"] for kernel in entries["layer"] for op in kernel["ops"]]
assert forward[0] == "peer.linear" and forward[-1] == "peer.mix", forward
backward = {op["op"] for kernel in entries["layer_grad"] for op in kernel["ops"]}
assert {"peer.mix_grad", "peer.pool_grad", "peer.route_query_grad", "peer.route_key_grad"} <= backward, backward
# Every route is taken apart on a CPU of narrow vectors, inside its tile; on a GPU there is a kernel for these.
apart = [kernel["kernel"] for kernels in entries.values() for kernel in kernels if kernel["taken_apart"]]
assert apart == ([] if "arch" in target else ["route", "route"]), apart
for name, kernels in entries.items():
    for kernel in kernels:
        assert kernel["calls"] >= 1 and len(kernel["bytes"]) == len(kernel["flops"]) == 2
        assert all(size > 0 for size in kernel["tiles"].values())
        for op in kernel["ops"]:
            assert op["emitters"], (name, op)
            assert op["place"].startswith("peer_layer_small.mlir:"), op
        for whole in kernel["taken_apart"]:
            assert whole["op"] == "peer.route" and whole["into"] == ["peer.score", "peer.select", "peer.gate"], whole
            assert whole["place"].startswith("peer_layer_small.mlir:") and whole["reason"], whole
            assert [op["op"] for op in kernel["ops"]][0] == "peer.score", kernel
        # What the assembler says is there where it is.
        if "arch" in target and kernel["ops"] and shutil.which("ptxas"):
            assert kernel["launches"] and all(launch["registers"] > 0 for launch in kernel["launches"]), kernel
