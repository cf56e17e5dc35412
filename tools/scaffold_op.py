"""What `./dev new-op NAME` writes: a small op that is whole, from its constraints to its documentation."""
import re
import shutil
import subprocess

FILES = {
    "dialect/ops/{name}Op.td": """\
//===- {td_banner} ===//

#ifndef PEER_{upper}_OP_TD
#define PEER_{upper}_OP_TD

include "dialect/ops/PeerOpBase.td"

def Peer_{name}Op : Peer_DifferentiableOp<"{mnemonic}",
    (ins Peer_Shaped:$x, F32Attr:$scale),
    (outs "T x D f32":$y)> {{
  let summary = "{summary}";
  let description = [{{
    `y = scale * x`: the formula goes here, with the paper and the section it is from.

    - C1: x is `T x D` f32.
    - C2: scale is finite.

    ```mlir
    %y = peer.{mnemonic} %x scale 0.5 : tensor<?x256xf32>
    ```
  }}];
  let assemblyFormat = [{{
    $x `scale` $scale (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }}];
  let extraClassDeclaration = [{{
    int64_t getFlopsPerIteration();
  }}];
}}

#endif // PEER_{upper}_OP_TD
""",
    "dialect/ops/{name}.cpp": """\
//===- {banner} ===//

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

PEER_INFER({name}Op) {{
  Check check(loc, "{mnemonic}");
  if (failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) ||
      failed(check.require(2, a.getScale().isFinite(), "expected a finite scale")))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {{check.tensor("T D", Float32Type::get(context))}}, types);
}}

// A loop over tokens; a tile has whole rows.
std::string {name}Op::getIndexNotation() {{ return "t . -> t ."; }}

int64_t {name}Op::getFlopsPerIteration() {{ return restOf(cast<ShapedType>(getX().getType())); }}

LogicalResult {name}Op::buildGradient(OpBuilder &builder, ArrayRef<Value> resultGrads,
                                      const llvm::SmallBitVector &wanted, SmallVectorImpl<Value> &operandGrads) {{
  if (wanted[0])
    operandGrads[0] = {name}Op::create(builder, getLoc(), resultGrads[0], getScaleAttr(), ValueRange()).getY();
  return success();
}}
""",
    "lowering/nn/{name}.cpp": """\
//===- {banner} ===//

#include "Emit.h"

using namespace mlir;
using namespace peer;

/// Vectors of `width` lanes; scalars at width 1.
static void emit{name}(LoopBuilder &b, {name}Op op, int64_t width) {{
  Value x = op.getX(), y = op.getY();
  b.loop(b.dim(x, 0), [&](Value t) {{
    b.strips(b.dim(x, 1), width, [&](Value at, int64_t lanes) {{
      Value scale = b.f32(op.getScale().convertToDouble(), b.floats(lanes));
      b.store(b.mul(scale, b.load(x, {{t, at}}, lanes)), y, {{t, at}});
    }});
  }});
}}

void nn::add{name}(LoopEmitters &emitters) {{
  emitters.everyWidth<{name}Op>({{.emit = emit{name}, .tileSizes = [](auto) {{ return tile({{{{"t", 64}}}}); }}}});
}}
""",
    "test/dialect/{flag}.mlir": """\
// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --peer-differentiate | FileCheck %s --check-prefix=GRAD

// CHECK-LABEL: func.func @f(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK:       %[[Y:.*]] = peer.{mnemonic} %[[X]] scale 5.000000e-01 : tensor<?x8xf32>
// CHECK-NEXT:  return %[[Y]]
// GRAD-LABEL: func.func @f_grad(
// GRAD-SAME:    %[[DY:[a-z0-9]+]]: tensor<?x8xf32> {{{{[^}}]*}}}}peer.name = "dy"
// GRAD:       %[[DX:.*]] = peer.{mnemonic} %[[DY]] scale 5.000000e-01
// GRAD-NEXT:  return %[[DX]]
func.func @f(%x: tensor<?x8xf32> {{peer.name = "x", peer.role = "input"}}) -> (tensor<?x8xf32> {{peer.name = "y"}}) {{
  %y = peer.{mnemonic} %x scale 0.5 : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}}
peer.gradient @f_grad of @f
""",
    "test/dialect/{flag}-errors.mlir": """\
// RUN: %peer-pass %s --split-input-file --verify-diagnostics

// One case per constraint, named after it.
func.func @{mnemonic}_c1(%x: tensor<8xf32>) {{
  // expected-error @+1 {{{{'peer.{mnemonic}' op C1: expected x to be T x D f32, got tensor<8xf32>}}}}
  %y = peer.{mnemonic} %x scale 0.5 : tensor<8xf32>
  return
}}

// -----

func.func @{mnemonic}_c2(%x: tensor<?x8xf32>) {{
  // expected-error @+1 {{{{'peer.{mnemonic}' op C2: expected a finite scale}}}}
  %y = peer.{mnemonic} %x scale 0x7F800000 : tensor<?x8xf32>
  return
}}
""",
    "test/unit/numerics/{name}Test.cpp": """\
#include "NNOpTest.h"

namespace peer::numerics {{

namespace {{
using reference::random;

class {name} : public NNOpTest {{}};

// The formula again, in double precision and by other means than the compiler's.
TEST_P({name}, AgreesWithTheReference) {{
  Array x = random({{70, 40}}, 1, -6, 6), y = x;
  for (double &value : y.values)
    value *= 0.75;
  check("{mnemonic}", "scale 0.75", {{{{"x", x, true}}}}, {{{{y, true}}}});
}}

INSTANTIATE_NN_OPS({name});
}} // namespace

}} // namespace peer::numerics
""",
}

PARAGRAPH = """\
`peer.{mnemonic} %x scale S`: {summary}.

```mlir
func.func @{mnemonic}(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {{
  %y = peer.{mnemonic} %x scale 0.5 : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}}
```

"""

# Tuples (file, what an insertion stands before, insertion).
INSERTIONS = [
    ("dialect/PeerOps.td", 'include "dialect/ops/ModelOps.td"', 'include "dialect/ops/{name}Op.td"\n'),
    ("lowering/nn/Emit.h", "void addRotary(LoopEmitters &emitters);", "void add{name}(LoopEmitters &emitters);\n"),
    ("lowering/LoopEmitters.cpp", "cpu::addScore,", "nn::add{name}, "),
    ("docs/descriptions.md", "`peer.rotary %x", PARAGRAPH),
]

NEXT = """\
Made {listing}
Next: its formula, constraints and numbers in these files. On GPUs it runs as plain loops on one thread of a block until lowering/gpu/nn/
has an emitter for it. What people meet: a line in CHANGELOG.md."""


def new_op(root, name, summary, banner, fail):
    """Writes an op `y = scale * x` of this name, and says what it wrote."""
    if not re.fullmatch(r"[A-Z][a-z0-9]+([A-Z][a-z0-9]+)*", name):
        fail(f"an op is named like SoftCap, not '{name}'")
    mnemonic = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    flag = mnemonic.replace("_", "-")
    words = {"name": name, "upper": name.upper(), "mnemonic": mnemonic, "flag": flag, "summary": summary,
             "banner": banner(f"{name}.cpp", summary), "td_banner": banner(f"{name}Op.td", summary)}
    files = {path.format(**words): text.format(**words) for path, text in FILES.items()}
    there = [path for path in files if (root / path).exists()]
    definition = re.compile(rf'^def \w+ : \w*Op\w*<\s*"{mnemonic}"', re.M)
    there += [str(path.relative_to(root)) for path in sorted((root / "dialect/ops").glob("*.td"))
              if definition.search(path.read_text(encoding="utf-8")) and str(path.relative_to(root)) not in there]
    if there:
        fail(f"{name} is in {' and '.join(there)} already")
    changed = {}
    for path, before, text in INSERTIONS:
        content = (root / path).read_text(encoding="utf-8")
        if content.count(before) != 1:
            fail(f"{path} has no single place to add to: expected '{before}' once")
        changed[path] = content.replace(before, text.format(**words) + before)
    for path, content in {**files, **changed}.items():
        (root / path).write_text(content, encoding="utf-8")
    # A long name breaks lines elsewhere.
    if tool := shutil.which("clang-format-22"):
        subprocess.run([tool, "-i", *(str(root / path) for path in [*files, *changed] if path.endswith((".cpp", ".h")))], check=True)
    print(NEXT.format(listing="\n     ".join([*files, *(f"{path}: a line" for path in changed)])))
