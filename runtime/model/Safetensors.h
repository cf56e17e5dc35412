// safetensors files: read with every claim of the header checked, written atomically and in one pass.
#pragma once

#include "SafetensorsHeader.h"
#include "core/File.h"

namespace peer::runtime {

/// An open safetensors file, or several that one index names (NAME.safetensors.index.json). Opening reads and checks the headers only.
class SafetensorsFile {
public:
  /// `path` is a safetensors file, an index, or the directory of one. Fails with one sentence on any header that is not exactly right (see
  /// parseSafetensorsHeader), on an index and files that do not say the same, and on what is something else, saying what it is.
  static Result<SafetensorsFile> open(const std::string &path);

  const std::string &path() const { return name; }
  const TensorInfos &tensors() const { return infos; }
  /// Of all files of an index together.
  const Metadata &metadata() const { return meta; }
  bool contains(std::string_view tensor) const { return infos.find(tensor) != infos.end(); }

  /// Reads one tensor into new memory; an error where the file has none of that name.
  Result<Tensor> read(std::string_view tensor) const;

  /// Reads one tensor into `target`; an error, naming expected and got, where dtype or shape differ.
  Status readInto(std::string_view tensor, Tensor &target) const;

  /// Reads a part of one tensor's bytes, which must lie within it.
  Status readBytes(std::string_view tensor, uint64_t offset, void *target, uint64_t bytes) const;

private:
  struct Part {
    std::shared_ptr<MappedFile> file;
    uint64_t dataStart = 0;
  };
  Status addPart(std::shared_ptr<MappedFile> file, const std::string &path);
  Status addIndex(const MappedFile &file, const std::string &path);
  Status readAt(const TensorInfo &info, uint64_t offset, void *target, uint64_t bytes) const;

  std::string name;
  std::vector<Part> parts;
  TensorInfos infos;
  Metadata meta;
};

/// All tensors of a file.
Result<TensorMap> readSafetensors(const std::string &path);

/// What a file says of a tensor.
struct TensorHeader {
  std::string name;
  DType dtype;
  Shape shape;
};

/// Writes a file atomically (see AtomicFile), the data piece by piece: for tensors that do not fit in memory.
class SafetensorsWriter {
public:
  /// Names must differ.
  static Result<SafetensorsWriter> create(const std::string &path, std::vector<TensorHeader> tensors,
                                          const Metadata &metadata = {});
  /// The tensors in the order in which their data has to follow.
  const std::vector<TensorHeader> &order() const { return tensors; }
  Status append(const void *data, uint64_t bytes) { return file.write(data, bytes); }
  /// To be called when all data is there.
  Status commit() { return file.commit(); }

private:
  SafetensorsWriter(AtomicFile file, std::vector<TensorHeader> tensors)
      : file(std::move(file)), tensors(std::move(tensors)) {}
  AtomicFile file;
  std::vector<TensorHeader> tensors;
};

/// A tensor to be written under a name.
struct NamedTensor {
  std::string name;
  const Tensor *tensor;
};

/// Writes a file atomically (see AtomicFile). Names must differ.
Status writeSafetensors(const std::string &path, const std::vector<NamedTensor> &tensors,
                        const Metadata &metadata = {});
Status writeSafetensors(const std::string &path, const TensorMap &tensors, const Metadata &metadata = {});

} // namespace peer::runtime
