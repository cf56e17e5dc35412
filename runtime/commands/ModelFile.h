// What a command's MODEL names: an artifact, or a description that is compiled first.
#pragma once

#include "model/Artifact.h"

#include <filesystem>

namespace peer::runtime {

/// A model that can be opened while this object lives: an artifact that could not be kept is removed with it.
class ModelHandle {
public:
  ModelHandle(ModelFile model, std::filesystem::path temporary = {})
      : model(std::move(model)), temporary(std::move(temporary)) {}
  ModelHandle(ModelHandle &&other) noexcept
      : model(std::move(other.model)), temporary(std::exchange(other.temporary, {})) {}
  ModelHandle &operator=(ModelHandle &&) = delete;
  ~ModelHandle();

  operator const ModelFile &() const { return model; }
  const std::string &file() const { return model.file; }

private:
  ModelFile model;
  std::filesystem::path temporary; // a directory
};

/// The description that MODEL names: the file of a name *.mlir, or the text that an artifact was compiled from, in a temporary directory and under its own file
/// name. An artifact that keeps none is refused; `why` says what it is wanted for, as "a conversion rewrites it".
Result<ModelHandle> findDescription(const std::string &model, std::string_view why);
/// The text of that.
Result<std::string> readDescriptionOf(const std::string &model, std::string_view why);

/// The artifact that MODEL names. A file named *.mlir is a description: peer-opt compiles it for `device` (this CPU where that is empty), and the artifact
/// is kept in the user's cache, under a name made of all that it depends on: the description, the compiler, the target, `options` of the compiler.
/// peer-opt is $PEER_OPT, or lies beside this program, or in $PATH; what it reports goes to stderr, where this function says, too, what it compiled.
/// Where the description is wrong the error has no message, since the compiler has said what there is to say; with `refusal` it says so there, and not
/// on stderr: its first error, without the place.
Result<ModelHandle> findModel(const ModelFile &model, const std::string &device,
                              const std::vector<std::string> &options = {}, std::string *refusal = nullptr);

/// The model, compiled so that inference goes without each token's best `experts`: what 'peer-opt --disable-top-experts' makes.
Result<ModelHandle> findModelWithout(int64_t experts, const std::string &model, const std::string &device,
                                     std::string *refusal = nullptr);

/// Runs peer-opt on a description, by these arguments; errors are as findModel's. `model` is for messages.
Status callCompiler(const std::string &model, const std::vector<std::string> &arguments);

} // namespace peer::runtime
