"""Checks the object that `peer-run bench --json` prints. Usage: peer-run bench ... --json | check_bench.py ENTRY TOKENS"""
import json
import sys

TOP = ["entry", "tokens", "median_us", "min_us", "stream_gb_per_s", "kernels", "device"]
KERNEL = ["name", "median_us", "bytes", "gb_per_s", "gflop_per_s"]


def main():
    result = json.load(sys.stdin)
    assert list(result) == TOP, list(result)
    assert result["entry"] == sys.argv[1] and result["tokens"] == int(sys.argv[2]), result
    assert 0 < result["min_us"] <= result["median_us"] and result["stream_gb_per_s"] > 0, result
    assert result["kernels"], "no kernels"
    for kernel in result["kernels"]:
        assert list(kernel) == KERNEL + ["keys"] * ("keys" in kernel), list(kernel)
        if "keys" in kernel:
            keys = kernel["keys"]
            assert 0 <= keys["rows_without_bounds"] <= keys["rows"] and 0 < keys["scored"] <= keys["keys"], keys
        assert kernel["name"] and kernel["median_us"] >= 0 and kernel["bytes"] >= 0, kernel
        # A kernel's rate is its bytes over its time (GB = 1e9 bytes).
        expected = kernel["bytes"] / kernel["median_us"] * 1e-3 if kernel["median_us"] > 0 else 0
        assert abs(kernel["gb_per_s"] - expected) <= 0.01 * expected + 1e-9, kernel
    inside = sum(kernel["median_us"] for kernel in result["kernels"])
    assert inside <= 1.5 * result["median_us"], (inside, result["median_us"])
    print("bench:", len(result["kernels"]), "kernels:", *(kernel["name"] for kernel in result["kernels"]))


main()
