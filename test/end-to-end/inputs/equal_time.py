"""What equal-time makes of a comparison of three models, and its descriptions: equal_time.py FOLDER_OF_BENCH OUT."""
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import equal_time  # noqa: E402


def result(name, losses, speed, steps, layers):
    mean = sum(losses) / len(losses) if losses else 0
    runs = [{"loss": loss, "steps": steps, "curve": [{"seconds": 1, "loss": 5}, {"seconds": 2, "loss": loss}]} for loss in losses] or [{"failure": "the loss is nan", "curve": []}]
    return {"model": name, "loss": {"mean": mean, "deviation": 0.01 if len(losses) > 1 else None}, "tokens_per_s": {"mean": speed}, "layers": layers, "runs": runs}


pool = [{"name": "experts", "experts": 65536, "usage": 0.5, "unevenness": 1.25}]
compared = {"models": [{"name": "peer", "parameters": 17.7e6, "active_parameters": 952000}, {"name": "dense", "parameters": 7e5, "active_parameters": 7e5},
                       {"name": "dense_wide", "parameters": 2e6, "active_parameters": None}],
            "budgets": [{"results": [result("peer", [1.19, 1.21], 1000, 90, pool), result("dense", [1.3], 2000, 100, []), result("dense_wide", [], 0, 0, [])]}]}
print(equal_time.chart.markdown(equal_time.rows(compared)))
print(equal_time.verdict(compared))
print(equal_time.picture(compared, 60).partition(" ")[0])
print(*(file.stem for file in equal_time.descriptions(pathlib.Path(sys.argv[2]))))
