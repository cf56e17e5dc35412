#!/usr/bin/env python3
"""Writes the files that belong together for something new: `./dev new-pass NAME`, `./dev new-op NAME`.

What it writes builds and passes its tests as it is; a pass does nothing yet, an op multiplies by a number.
"""
import argparse
import pathlib
import re
import sys

from scaffold_op import new_op

ROOT = pathlib.Path(__file__).resolve().parents[1]

PASS = """\
//===- {banner} ===//

#include "Passes.h"

#include "dialect/PeerOps.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace peer;

namespace peer {{
#define GEN_PASS_DEF_{upper}
#include "passes/Passes.h.inc"
}} // namespace peer

namespace {{

struct Rewrite : OpInterfaceRewritePattern<GraphOpInterface> {{
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(GraphOpInterface op, PatternRewriter &rewriter) const override {{
    return rewriter.notifyMatchFailure(op, "there is nothing to rewrite");
  }}
}};

struct {name} : peer::impl::{name}Base<{name}> {{
  void runOnOperation() override {{
    RewritePatternSet patterns(&getContext());
    patterns.add<Rewrite>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }}
}};

}} // namespace
"""

DEFINITION = """\
def {name} : Pass<"{flag}", "::mlir::func::FuncOp"> {{
  let summary = "{summary}";
  let description = [{{
    Why it is there, and what it leaves alone.

    ```mlir
    %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
    ```
    becomes
    ```mlir
    %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
    ```
  }}];
}}

"""

TEST = """\
// RUN: peer-opt %s --{flag} --split-input-file --verify-diagnostics | FileCheck %s

// What is left alone, and why.
// CHECK-LABEL: func.func @left_alone(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x8xf32>, %[[W:[a-z0-9]+]]: tensor<8x8xf32>
// CHECK-NEXT:  %[[Y:.*]] = peer.linear %[[X]], %[[W]]
// CHECK-NEXT:  return %[[Y]]
func.func @left_alone(%x: tensor<?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x8xf32> {{
  %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
  return %y : tensor<?x8xf32>
}}
"""


def fail(message):
    sys.exit(f"dev: error: {message}")


def banner(file, summary):
    text = f"{file} - {summary} "
    return text + "-" * max(73 - len(text), 3)


def new_pass(name, summary):
    if not re.fullmatch(r"[A-Z][a-z0-9]+([A-Z][a-z0-9]+)*", name):
        fail(f"a pass is named like FoldScales, not '{name}'")
    flag = "peer-" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
    definitions = ROOT / "passes/Passes.td"
    text = definitions.read_text(encoding="utf-8")
    files = {ROOT / f"passes/{name}.cpp": PASS, ROOT / f"test/passes/{flag}.mlir": TEST}
    there = [str(path.relative_to(ROOT)) for path in files if path.exists()]
    if re.search(rf'^def {name} : |Pass<"{flag}"', text, re.M):
        there.append("passes/Passes.td")
    if there:
        fail(f"{name} is in {' and '.join(there)} already")
    words = {"name": name, "upper": name.upper(), "flag": flag, "summary": summary, "banner": banner(f"{name}.cpp", summary)}
    body, end, rest = text.rpartition("#endif")
    definitions.write_text(body + DEFINITION.format(**words) + end + rest, encoding="utf-8")
    for path, content in files.items():
        path.write_text(content.format(**words), encoding="utf-8")
    print(f"passes/{name}.cpp       the pass\npasses/Passes.td: {name}   its flag, and the IR before and after\n"
          f"test/passes/{flag}.mlir   its test\n"
          "Where it belongs to a pipeline: lowering/Pipelines.cpp. What people should know of it: passes/README.md.")


def main():
    parser = argparse.ArgumentParser(prog="./dev", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("new-pass", help="a pass that knows no target")
    command.add_argument("name", metavar="NAME", help="such as FoldScales")
    command.add_argument("--summary", default="what it does, in a few words", help="one line for --help")
    command = commands.add_parser("new-op", help="an op on rows of tokens, for all targets")
    command.add_argument("name", metavar="NAME", help="such as SoftCap")
    command.add_argument("--summary", default="what it computes, in a few words", help="one line for the reference")
    arguments = parser.parse_args()
    if arguments.command == "new-pass":
        new_pass(arguments.name, arguments.summary)
    else:
        new_op(ROOT, arguments.name, arguments.summary, banner, fail)


if __name__ == "__main__":
    main()
