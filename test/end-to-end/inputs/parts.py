"""A training step in parts, through entries of its own for each: forward with saved values, backward to pairs, and the step of a table."""
import array
import math
import random
import sys

import peer

TARGET, DEVICE = sys.argv[1:3]
D, N, T = 8, 16, 6
random.seed(1)


def flat(values, shape, code="f"):
    """An array of these values."""
    return memoryview(array.array(code, values)).cast("B").cast(code, shape)


def numbers(view):
    return list(memoryview(view).cast("B").cast(view.format))


def normal(*shape):
    return flat([random.gauss(0, 1) for _ in range(math.prod(shape))], shape)


def whole(*shape, low=-3, high=3):
    return flat([random.randint(low, high) for _ in range(math.prod(shape))], shape)


def named(results):
    """Results by their names in Python."""
    return results._asdict() if hasattr(results, "_asdict") else {}


def compiled(text):
    return peer.compile(text, target=TARGET, device=DEVICE)


def spelled(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def pairs_of(model, entry, tensors):
    """What each list of pairs of an entry consists of, of its arguments and results by name."""
    described = next(each for each in model.manifest["entries"] if each["name"] == entry)["pairs"]
    return [(each["of"], {part: tensors[spelled(each[part])] for part in ("idx", "coef", "x", "dy")}) for each in described]


def layer(vectors):
    """A layer whose backward reads all kinds of values, and its loss."""
    act = "" if vectors == 1 else " gelu"
    return f"""func.func private @layer(%x: tensor<?x{D}xf32>) -> tensor<?x{D}xf32> {{
  %g = peer.param "norm.weight" ones : tensor<{D}xf32>
  %n = peer.rms_norm %x, %g : tensor<?x{D}xf32>, tensor<{D}xf32>
  %wq = peer.param "query.weight" normal(0.5) : tensor<{D}x16xf32>
  %q = peer.linear %n, %wq : tensor<?x{D}xf32>, tensor<{D}x16xf32>
  %qh = peer.reshape %q to tensor<?x2x2x4xf32> : tensor<?x16xf32>
  %keys = peer.param "keys" normal(0.5) : tensor<2x2x4x4xf32>
  %s = peer.score %qh, %keys : tensor<?x2x2x4xf32>, tensor<2x2x4x4xf32>
  %i, %v = peer.select %s product_topk<3> : tensor<?x2x2x4xf32>
  %w = peer.gate %v softmax : tensor<?x2x3xf32>
  %pool = peer.param "experts" normal(0.5) group("experts") : tensor<{N}x{vectors}x{D}xf32>
  %y = peer.mix %n, %i, %w, %pool{act} : tensor<?x{D}xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<{N}x{vectors}x{D}xf32>
  return %y : tensor<?x{D}xf32>
}}
func.func @loss(%x: tensor<?x{D}xf32> {{peer.name = "x"}}, %t: tensor<?xi32> {{peer.name = "t"}}) -> (tensor<f32> {{peer.name = "loss"}}) {{
  %y = peer.call "" @layer(%x) : (tensor<?x{D}xf32>) -> tensor<?x{D}xf32>
  %c = peer.cross_entropy %y, %t : tensor<?x{D}xf32>, tensor<?xi32>
  %m = peer.mean %c : tensor<?xf32>
  return %m : tensor<f32>
}}
peer.gradient @gradient of @loss
peer.gradient @backward of @loss {{saved = @forward, rows}}
peer.gradient @dense of @loss {{saved = @dense_forward}}
peer.train @train of @loss {{optimizer = #peer.sgd, groups = {{experts = #peer.adamw<weight_decay = 0.1, lazy>}}}}
peer.update_rows @update of "experts" {{optimizer = #peer.adamw<weight_decay = 0.1, lazy>}}
"""


def check_layer(vectors):
    model = compiled(layer(vectors)).init(vectors)
    x, targets, dloss = normal(T, D), flat([random.randrange(D) for _ in range(T)], (T,), "i"), flat([1.0], ())
    want = named(model.gradient(x=x, t=targets, dloss=dloss))
    same = True
    for entry, saving in (("backward", model.forward), ("dense", model.dense_forward)):
        forward = named(saving(x=x, t=targets))
        assert numbers(forward["loss"]) == numbers(model.loss(x=x, t=targets))
        saved = {name: value for name, value in forward.items() if name.startswith("saved_")}
        assert not any(value.shape[0] == N for value in saved.values())
        given = {"x": x, "t": targets, "dloss": dloss, **saved}
        found = named(getattr(model, entry)(**given))
        same &= all(numbers(value) == numbers(want[name]) for name, value in found.items() if name in want)
        assert set(want) - set(found) == ({"grad_experts"} if entry == "backward" else set())
        if entry == "backward":
            ((_, pairs),) = pairs_of(model, entry, {**given, **found})
    twin = compiled(layer(vectors)).init(vectors)
    before = numbers(twin.tensor("experts"))
    model.update(**{f"experts_{part}": value for part, value in pairs.items()}, step=1, learning_rate_experts=0.125)
    twin.train(x=x, t=targets, learning_rate_experts=0.125, learning_rate_default=0)
    moved = numbers(model.tensor("experts")) == numbers(twin.tensor("experts")) != before
    states = all(numbers(model.tensor(f"state:experts.{state}")) == numbers(twin.tensor(f"state:experts.{state}")) for state in "mv")
    print(f"{vectors}: gradients {same}, steps {moved}, states {states}")


def mix(rows, optimizer="#peer.sgd<lazy>"):
    kinds = f"tensor<?x{D}xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<{rows}x2x{D}xf32>"
    return f"""func.func @mix(%x: tensor<?x{D}xf32> {{peer.name = "x"}}, %idx: tensor<?x2x3xi32> {{peer.name = "idx"}},
               %w: tensor<?x2x3xf32> {{peer.name = "w"}}) -> (tensor<?x{D}xf32> {{peer.name = "y"}}) {{
  %pool = peer.param "experts" normal(0.5) group("experts") : tensor<{rows}x2x{D}xf32>
  %y = peer.mix %x, %idx, %w, %pool relu : {kinds}
  return %y : tensor<?x{D}xf32>
}}
peer.gradient @backward of @mix {{saved = @forward, rows}}
peer.update_rows @update norm @norm of "experts" {{optimizer = {optimizer}}}
"""


def step(model, table, x, idx, w, dy):
    """y, dx, dw and the square of the gradient's norm; moves the table."""
    model.bind("experts", table)
    forward = model.forward(x=x, idx=idx, w=w)
    forward = named(forward) or {"y": forward}
    given = {"x": x, "idx": idx, "w": w, "dy": dy, **{name: value for name, value in forward.items() if name.startswith("saved_")}}
    found = named(model.backward(**given))
    ((_, pairs),) = pairs_of(model, "backward", {**given, **found})
    pairs = {f"experts_{part}": value for part, value in pairs.items()}
    squares = numbers(model.norm(**pairs))
    model.update(**pairs, learning_rate_experts=0.25)
    model.bind("experts", None)
    return [numbers(forward["y"]), numbers(found["dx"]), numbers(found["dw"]), squares]


def check_halves():
    """Two machines with half of the experts each: what one has not is selected by -1."""
    x, dy, w, table = whole(T, D), whole(T, D), whole(T, 2, 3, low=0), whole(N, 2, D)
    chosen = [random.randrange(N) for _ in range(T * 6)]
    values, half = numbers(table), N // 2
    parts = [flat(values[:len(values) // 2], (half, 2, D)), flat(values[len(values) // 2:], (half, 2, D))]
    want = step(compiled(mix(N)), table, x, flat(chosen, (T, 2, 3), "i"), w, dy)
    model, sums = compiled(mix(half)), None
    for number, part in enumerate(parts):
        own = [each - number * half if each // half == number else -1 for each in chosen]
        found = step(model, part, x, flat(own, (T, 2, 3), "i"), w, dy)
        sums = found if sums is None else [[a + b for a, b in zip(one, other)] for one, other in zip(sums, found)]
    print(f"halves: y {sums[0] == want[0]}, dx {sums[1] == want[1]}, dw {sums[2] == want[2]}, norm {sums[3] == want[3]}, table "
          f"{numbers(parts[0]) + numbers(parts[1]) == numbers(table)}, moved {numbers(table) != values}")


TWICE = f"""func.func @twice(%x: tensor<?x{D}xf32> {{peer.name = "x"}}, %i: tensor<?x2x3xi32> {{peer.name = "i"}}, %w: tensor<?x2x3xf32> {{peer.name = "w"}},
    %j: tensor<?x1x4xi32> {{peer.name = "j"}}, %u: tensor<?x1x4xf32> {{peer.name = "u"}}) -> (tensor<?x{D}xf32> {{peer.name = "y"}}) {{
  %pool = peer.param "experts" normal(0.5) group("experts") : tensor<{N}x3x{D}xf32>
  %h = peer.mix %x, %i, %w, %pool silu : tensor<?x{D}xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<{N}x3x{D}xf32>
  %r = arith.addf %x, %h : tensor<?x{D}xf32>
  %y = peer.mix %r, %j, %u, %pool silu : tensor<?x{D}xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<{N}x3x{D}xf32>
  return %y : tensor<?x{D}xf32>
}}
peer.gradient @gradient of @twice
peer.gradient @backward of @twice {{saved = @forward, rows}}
peer.update_rows @update norm @norm of "experts" {{optimizer = #peer.sgd<lazy>}}
"""


def check_twice():
    """Pairs of all uses, one after the other, filled up to the longest selection."""
    model = compiled(TWICE).init(5)
    given = {"x": normal(T, D), "i": flat([random.randrange(N) for _ in range(T * 6)], (T, 2, 3), "i"), "w": normal(T, 2, 3),
             "j": flat([random.randrange(N) for _ in range(T * 4)], (T, 1, 4), "i"), "u": normal(T, 1, 4)}
    forward = named(model.forward(**given))
    given.update(dy=normal(T, D))
    dense = numbers(model.gradient(**given).grad_experts)
    given.update({name: value for name, value in forward.items() if name.startswith("saved_")})
    found = named(model.backward(**given))
    lists = pairs_of(model, "backward", {**given, **found})
    assert [name for name, _ in lists] == ["experts", "experts"]
    joined = {"idx": [], "coef": [], "x": [], "dy": []}
    for _, pairs in lists:
        for t in range(T):
            chosen, factors = numbers(pairs["idx"]), numbers(pairs["coef"])
            count = len(chosen) // T
            joined["idx"] += chosen[t * count:(t + 1) * count] + [-1] * (6 - count)
            joined["coef"] += factors[3 * t * count:3 * (t + 1) * count] + [0.0] * (3 * (6 - count))
        joined["x"] += numbers(pairs["x"])
        joined["dy"] += numbers(pairs["dy"])
    shapes = {"idx": (2 * T, 1, 6), "coef": (2 * T, 1, 6, 1, 3), "x": (2 * T, D), "dy": (2 * T, D)}
    pairs = {f"experts_{part}": flat(joined[part], shape, "i" if part == "idx" else "f") for part, shape in shapes.items()}
    before = numbers(model.tensor("experts"))
    (squares,) = numbers(model.norm(**pairs))
    model.update(**pairs, learning_rate_experts=1.0)
    moved = [old - new for old, new in zip(before, numbers(model.tensor("experts")))]
    largest = max(map(abs, dense))
    near = max(abs(a - b) for a, b in zip(moved, dense)) <= 1e-5 * largest
    print(f"twice: {near} {abs(squares - sum(each * each for each in dense)) <= 1e-4 * squares}")


if DEVICE == "cpu":
    for vectors in (1, 2, 3):
        check_layer(vectors)
    check_twice()
else:
    check_layer(2)
check_halves()
