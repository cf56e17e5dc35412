//===- Plan.cpp - how weights follow from those of before -----------------===//

#include "Plan.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace peer;
using namespace peer::weights;

static json::Array listOf(ArrayRef<int64_t> values) { return json::Array(values); }

Expression weights::tensor(StringRef name) { return json::Array{"tensor", name.str()}; }
Expression weights::decided(StringRef name) { return json::Array{"decided", name.str()}; }
Expression weights::gather(Expression of, int64_t axis, StringRef numbers) {
  return json::Array{"gather", std::move(of), axis, numbers.str()};
}
Expression weights::combine(Expression of, int64_t axis, StringRef shares) {
  return json::Array{"combine", std::move(of), axis, shares.str()};
}
Expression weights::initial() { return json::Array{"initial"}; }
Expression weights::zeros(ArrayRef<int64_t> shape) { return json::Array{"zeros", listOf(shape)}; }
Expression weights::repeat(Expression of, int64_t axis, int64_t times) {
  return json::Array{"repeat", std::move(of), axis, times};
}
Expression weights::first(Expression of, int64_t axis, int64_t count) {
  return json::Array{"first", std::move(of), axis, count};
}
Expression weights::slice(Expression of, int64_t axis, int64_t from, int64_t size) {
  return json::Array{"slice", std::move(of), axis, from, size};
}
Expression weights::concat(int64_t axis, ArrayRef<Expression> parts) {
  return json::Array{"concat", axis, json::Array(parts)};
}
Expression weights::scale(Expression of, double by) { return json::Array{"scale", std::move(of), by}; }
Expression weights::reshape(Expression of, ArrayRef<int64_t> shape) {
  return json::Array{"reshape", std::move(of), listOf(shape)};
}
Expression weights::transpose(Expression of, ArrayRef<int64_t> order) {
  return json::Array{"transpose", std::move(of), listOf(order)};
}
Expression weights::quantize(Expression of, Expression format, int64_t group) {
  return json::Array{"quantize", std::move(of), std::move(format), group};
}
Expression weights::scales(Expression of, Expression format, int64_t group) {
  return json::Array{"scales", std::move(of), std::move(format), group};
}

LogicalResult Plan::set(StringRef name, Expression value, mlir::Location loc) {
  auto [it, isNew] = tensors.try_emplace(json::ObjectKey(name.str()), value);
  if (!isNew && it->second != value)
    return mlir::emitError(loc) << "parameter '" << name
                                << "' is used by several layers, which want other values of it";
  return success();
}

LogicalResult Plan::write(StringRef path, mlir::Location loc) const {
  if (path.empty())
    return success();
  std::error_code error;
  raw_fd_ostream stream(path, error, sys::fs::OF_Text);
  json::Object text;
  text["pass"] = pass;
  text["layers"] = json::Array(layers);
  text["tensors"] = json::Object(tensors);
  if (!error) {
    stream << formatv("{0:2}\n", json::Value(std::move(text)));
    stream.close();
    error = stream.error();
  }
  if (error) {
    stream.clear_error();
    return mlir::emitError(loc) << "cannot write the plan to " << path << ": " << error.message();
  }
  return success();
}
