#include "Commands.h"
#include "ModelFile.h"
#include "core/Outputs.h"
#include "session/Session.h"

namespace peer::runtime {

namespace {
struct CallOptions {
  std::string model, entry, weights, in, out;
};

constexpr const char *kHelp =
    R"(The tensors in IN.safetensors must be exactly the function's inputs ("peer-run inspect MODEL.peer" lists them).
The token count T comes from their shapes. Scalars that a function takes (step, position, learning_rate.GROUP) may be
given there too, as tensors of rank 0; otherwise they are 1, 0 and the model's default. States such as key-value
caches start at zero.

Example:
  peer-run init peer_layer.peer --seed 1 --out w.safetensors
  peer-run call peer_layer.peer layer --weights w.safetensors --in x.safetensors --out y.safetensors)";

Result<double> scalarOf(const Tensor &tensor, const std::string &what) {
  switch (tensor.dtype()) {
  case DType::F32:
    return static_cast<double>(tensor.as<float>()[0]);
  case DType::F64:
    return tensor.as<double>()[0];
  case DType::I32:
    return static_cast<double>(tensor.as<int32_t>()[0]);
  case DType::I64:
    return static_cast<double>(tensor.as<int64_t>()[0]);
  default:
    return Status::error(what, " is ", dtypeName(tensor.dtype()), ", expected a scalar of f32, f64, i32 or i64");
  }
}

/// Moves the scalars among the given tensors to `scalars`.
Status takeScalars(const Entry &entry, const std::string &path, TensorMap &inputs, ScalarMap &scalars) {
  for (auto item = inputs.begin(); item != inputs.end();) {
    const Argument *argument = entry.findArgument(item->first);
    if (!argument || argument->role != Role::Scalar) {
      ++item;
      continue;
    }
    std::string what = concat(path, ": tensor \"", item->first, "\"");
    if (item->second.rank() != 0)
      return Status::error(what, " has shape ", shapeText(item->second.shape()), ", expected a scalar of shape []");
    PEER_TRY_ASSIGN(scalars[item->first], scalarOf(item->second, what));
    item = inputs.erase(item);
  }
  return {};
}

bool takes(const Entry &entry, Role role) {
  for (const Argument &argument : entry.arguments)
    if (argument.role == role)
      return true;
  return false;
}

Result<int> runCall(const CallOptions &options, const std::string &device) {
  PEER_TRY(checkOutput("--out", options.out, {options.model, options.weights, options.in}));
  PEER_TRY_ASSIGN(ModelHandle model, findModel(options.model, device));
  PEER_TRY_ASSIGN(std::unique_ptr<Session> session, Session::open(model, device));
  PEER_TRY_ASSIGN(const Entry *entry, session->entry(options.entry));
  if (options.in.empty() && takes(*entry, Role::Input))
    return Status::error("entry \"", entry->name, "\" takes inputs: give them with --in");
  if (options.weights.empty() && takes(*entry, Role::Parameter))
    return Status::error("entry \"", entry->name,
                         "\" takes parameters: give them with --weights (peer-run init makes a file of initial ones)");
  TensorMap inputs;
  if (!options.in.empty()) {
    PEER_TRY_ASSIGN(inputs, readSafetensors(options.in));
  }
  ScalarMap scalars = session->defaultScalars(*entry);
  PEER_TRY(takeScalars(*entry, options.in, inputs, scalars));
  // The cheap checks before the weights, which may be gigabytes.
  if (Result<int64_t> tokens = session->checkInputs(*entry, inputs); !tokens.ok())
    return Status::error(options.in, ": ", tokens.message());
  if (takes(*entry, Role::Parameter))
    PEER_TRY(loadWeights(*session, options.weights));
  PEER_TRY_ASSIGN(TensorMap results, session->call(*entry, inputs, scalars));
  PEER_TRY(writeSafetensors(options.out, results, {{"entry", entry->name}, {"model", session->manifest().model}}));
  return 0;
}
} // namespace

void addCallCommand(CLI::App &app, CommandContext &context) {
  auto options = std::make_shared<CallOptions>();
  CLI::App *command = app.add_subcommand("call", "Call one function of a model on named tensors");
  command->footer(kHelp);
  command->add_option("MODEL", options->model, "Description (.mlir) or compiled model (.peer)")->required();
  command->add_option("ENTRY", options->entry, "The function to call")->required();
  command->add_option("--weights", options->weights, "Parameters, if the function takes any")->type_name("FILE");
  command->add_option("--in", options->in, "Input tensors (safetensors)")->type_name("FILE");
  command->add_option("--out", options->out, "Where the results go (safetensors)")->type_name("FILE")->required();
  addCommonOptions(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { return runCall(*options, context.device); }; });
}

} // namespace peer::runtime
