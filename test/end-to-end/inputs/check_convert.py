"""What conversions say they do, from the definitions.

check_convert.py split OLD NEW FACTOR     routers' rows repeated, values of pools times FACTOR, all else bit for bit
check_convert.py rows OLD NEW LAYER N     a pool has the hidden units of a dense layer, N times each
check_convert.py kept OLD NEW LAYER       experts that are left have their rows of the router and their rows of the pool
check_convert.py twins OLD NEW LAYER      experts 2 and 3 become experts 0 and 1, their units the other way round
check_convert.py merged OLD NEW LAYER     of those experts the first two are left
check_convert.py whole DIR                the end of the curve is the old model
check_convert.py stored OLD NEW N         N parameters are within half a step of what they were, scales times numbers; all others are as they were
check_convert.py near DIR SHARE           the loss of the new model differs by less than this share
check_convert.py report DIR               the losses of both models, and what exists in DIR
"""
import json
import os
import sys

import tensors


def rows(values, size):
    return [tuple(values[i:i + size]) for i in range(0, len(values), size)]


def split(old, new, factor):
    old, new, factor = tensors.load(old), tensors.load(new), int(factor)
    expected = {}
    for name, (dtype, shape, values) in old.items():
        if name.endswith("router"):
            shape = [*shape[:2], shape[2] * factor, shape[3]]
            values = [value for row in rows(values, shape[3]) for _ in range(factor) for value in row]
        elif name.endswith("experts"):
            row = shape[1] * shape[2]
            values = [value * factor if i % row >= row - shape[2] else value for i, value in enumerate(values)]
        expected[name] = (dtype, shape, list(values))
    print("as defined:", expected == {name: (dtype, shape, list(values)) for name, (dtype, shape, values) in new.items()})


def columns(matrix, is_column):
    _, (n, m), values = matrix
    return [tuple(values[j::m]) for j in range(m)] if is_column else rows(values, m)


def same_rows(old, new, layer, copies):
    old, new = tensors.load(old), tensors.load(new)
    names = [name for name in (f"{layer}.gate.weight", f"{layer}.up.weight", f"{layer}.down.weight") if name in old]
    width = len(old["table"][2]) // 256
    # A matrix that leads to hidden units has them as columns, or as rows where it is stored transposed.
    vectors = [columns(old[name], old[name][1][0] == width) for name in names]
    units = [sum(parts, ()) for parts in zip(*vectors)]
    pool = rows(new[f"{layer}.experts"][2], len(units[0]))
    print("same units:", sorted(units * int(copies)) == sorted(pool), "in order:", units * int(copies) == pool)
    print("others unchanged:", all(new[name] == old[name] for name in old.keys() & new.keys()))


def kept(old, new, layer):
    old, new = tensors.load(old), tensors.load(new)

    def experts(weights):
        _, shape, router = weights[f"{layer}.router"]
        pool = weights[f"{layer}.experts"][2]
        return list(zip(rows(router, shape[3]), rows(pool, len(pool) // shape[2])))

    before, after = experts(old), experts(new)
    print(f"{len(after)} of {len(before)} kept, router and rows together:", [expert for expert in before if expert in after] == after)
    print("others unchanged:", all(new[name] == old[name] for name in old if not name.startswith(layer + ".")))


def experts_of(weights, layer):
    """Rows of the router, and the units of each expert in turn."""
    _, (_, _, n, width), router = weights[f"{layer}.router"]
    _, (units, vectors, size), pool = weights[f"{layer}.experts"]
    units = rows(pool, vectors * size)
    return rows(router, width), rows(units, len(units) // n)


def twins(old, new, layer):
    weights = tensors.load(old)
    router, experts = experts_of(weights, layer)
    experts = list(experts[:2]) + [expert[::-1] for expert in experts[:2]]
    for name, values in (("router", [value for row in [*router[:2], *router[:2]] for value in row]),
                         ("experts", [value for expert in experts for unit in expert for value in unit])):
        _, shape, _ = weights[f"{layer}.{name}"]
        weights[f"{layer}.{name}"] = tensors.floats(shape, values)
    tensors.save(new, weights)


def merged(old, new, layer):
    old, new = tensors.load(old), tensors.load(new)
    (router, experts), (router_after, after) = experts_of(old, layer), experts_of(new, layer)

    def near(expected, found):
        return all(abs(a - b) < 1e-6 for a, b in zip(expected, found, strict=True))

    # Which of two twins has the place of both is for the text to say, and so is the order of the units.
    same = all(near(row, row_after) and any(all(near(*pair) for pair in zip(order, left, strict=True)) for order in (expert, expert[::-1]))
               for row, expert, row_after, left in zip(router[:2], experts[:2], router_after, after, strict=True))
    swapped = all(near(row, row_after) and any(all(near(*pair) for pair in zip(order, left, strict=True)) for order in (expert, expert[::-1]))
                  for row, expert, row_after, left in zip(router[1::-1], experts[1::-1], router_after, after, strict=True))
    print("one of each pair of twins:", same or swapped)
    print("others unchanged:", all(new[name] == old[name] for name in old if not name.startswith(layer + ".")))


def numbers_of(shape, values, width):
    """What is stored, as one list: two int4 a byte where a row has half as many bytes as elements."""
    if shape[-1] == width:
        return list(values)
    result = []
    for block in rows([byte & 255 for byte in values], 16):
        result += [(byte & 15) - 16 * (byte & 15 > 7) for byte in block] + [(byte >> 4) - 16 * (byte >> 4 > 7) for byte in block]
    return result


def stored(old, new, count):
    old, new = tensors.load(old), tensors.load(new)
    names = [name for name in old if name + ".scale" in new]
    within, full = len(names) == int(count), True
    for name in names:
        _, before_shape, before = old[name]
        _, shape, values = new[name]
        _, _, scales = new[name + ".scale"]
        before = list(before)
        width = len(before) // (len(values) // shape[-1])
        if len(shape) == 2 and shape[0] != before_shape[0] or name.endswith(("query.weight", "key.weight", "value.weight")):
            before = [value for column in zip(*rows(before, before_shape[-1])) for value in column]
        numbers, each = numbers_of(shape, values, width), len(before) // len(scales)
        within &= all(abs(number * scales[i // each] - value) <= scales[i // each] * 0.500001 for i, (number, value) in enumerate(zip(numbers, before, strict=True)))
        full &= max(map(abs, numbers)) == (127 if shape[-1] == width else 7)
    others = all(new[name] == old[name] for name in old if name not in names)
    print(f"all within half a step: {within}, full range: {full}, others unchanged: {others}")


def near(folder, share):
    with open(os.path.join(folder, "report.json")) as file:
        found = json.load(file)
    before, after = found["before"], found["after"]
    print("near:", abs(after["loss"] - before["loss"]) < float(share) * before["loss"] and after["bytes"] < before["bytes"])


def whole(folder):
    with open(os.path.join(folder, "report.json")) as file:
        found = json.load(file)
    before, last = found["before"]["loss"], found["curve"][-1]
    print("with all as before:", abs(last["loss"] - before) < 2e-6 * before and abs(last["loss_by_chance"] - before) < 2e-6 * before)


def report(folder):
    with open(os.path.join(folder, "report.json")) as file:
        found = json.load(file)
    before, after = found["before"]["loss"], found["after"]["loss"]
    print(sorted(os.listdir(folder)), f"same loss: {abs(after - before) < 2e-6 * before}")
    for point in found.get("curve", []):
        print(f"{point['share']:.3f}: {point['loss'] - before:+.4f}, {point['loss_by_chance'] - before:+.4f} by chance")


{"split": split, "rows": same_rows, "kept": kept, "twins": twins, "merged": merged, "whole": whole, "stored": stored, "near": near, "report": report}[sys.argv[1]](*sys.argv[2:])
