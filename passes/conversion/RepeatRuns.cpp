//===- RepeatRuns.cpp - a repeat, iteration by iteration -----------------===//

#include "RepeatRuns.h"

using namespace mlir;
using namespace peer;

void RepeatRuns::append(int64_t number, StringRef callee) {
  if (last && last.getCallee() == callee && int64_t(last.getFrom() + last.getCount()) == number) {
    last.setCount(last.getCount() + 1);
    return;
  }
  last = cast<RepeatOp>(builder.clone(*whole));
  last->setOperands(values);
  last.setCount(1);
  last.setFrom(number);
  last.setCallee(callee);
  values.assign(last->result_begin(), last->result_end());
}

void RepeatRuns::finish() {
  whole->replaceAllUsesWith(values);
  whole->erase();
}
