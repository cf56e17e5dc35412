"""Prints how many different losses the steps of training runs have: distinct_losses.py RUN ..."""
import json
import sys

losses = []
for run in sys.argv[1:]:
    with open(f"{run}/log.jsonl") as file:
        losses += [entry["loss"] for entry in map(json.loads, file) if "loss" in entry]
print(f"{len(losses)} steps, {len(set(losses))} losses")
