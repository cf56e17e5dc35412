#include "Safetensors.h"

#include "SafetensorsIndex.h"
#include "core/FileKind.h"
#include "core/ListText.h"

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

namespace peer::runtime {

using nlohmann::json;

namespace {
// The limit of the reference implementation.
constexpr uint64_t kMaxHeader = 100'000'000;

/// Reads a file's header. Nothing is known yet of what the file is.
Result<SafetensorsHeader> readHeader(const MappedFile &file, const std::string &path, uint64_t &dataStart) {
  uint64_t size = file.size(), headerBytes = 0;
  if (size < 8)
    return Status::error(path, " is not a safetensors file: it has ", size,
                         " bytes, and the length of the header alone takes 8");
  PEER_TRY(file.read(0, &headerBytes, 8));
  if (headerBytes > kMaxHeader)
    return Status::error(path, " is not a safetensors file: its first 8 bytes announce a header of ", headerBytes,
                         " bytes, and at most ", kMaxHeader, " are allowed");
  if (headerBytes > size - 8)
    return Status::error(path, " is truncated: its header takes ", headerBytes, " bytes, but only ", size - 8,
                         " follow");
  std::string text(headerBytes, '\0');
  PEER_TRY(file.read(8, text.data(), headerBytes));
  dataStart = 8 + headerBytes;
  return parseSafetensorsHeader(text, size - dataStart, path);
}

std::string headerText(const std::vector<TensorHeader> &tensors, const Metadata &metadata) {
  json header = json::object();
  if (!metadata.empty())
    header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto &[name, dtype, shape] : tensors) {
    uint64_t end = offset + static_cast<uint64_t>(*byteCount(dtype, shape));
    header[name] = {{"dtype", safetensorsName(dtype)}, {"shape", shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  // Spaces up to a multiple of 8 keep the data aligned in a mapped file.
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}
} // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  SafetensorsFile result;
  std::string file = result.name = path;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    PEER_TRY_ASSIGN(file, findIndex(path));
  }
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> opened, MappedFile::open(file));
  PEER_TRY_ASSIGN(bool index, looksLikeIndex(*opened));
  PEER_TRY(index ? result.addIndex(*opened, file) : result.addPart(std::move(opened), file));
  return result;
}

Status SafetensorsFile::addPart(std::shared_ptr<MappedFile> file, const std::string &path) {
  Part part{std::move(file)};
  Result<SafetensorsHeader> header = readHeader(*part.file, path, part.dataStart);
  if (!header.ok()) {
    // What it is instead says more than what is wrong with it.
    PEER_TRY_ASSIGN(std::string kind, foreignKind(*part.file));
    bool known = !kind.empty() && kind != kSafetensorsKind;
    return known ? Status::error(path, " ", kind) : header.status();
  }
  for (auto &[tensor, info] : header->tensors) {
    info.part = static_cast<uint32_t>(parts.size());
    if (!infos.emplace(tensor, std::move(info)).second)
      return Status::error(name, ": two of its files hold the tensor \"", tensor, "\"; one of them is ", path);
  }
  meta.merge(header->metadata);
  parts.push_back(std::move(part));
  return {};
}

Status SafetensorsFile::addIndex(const MappedFile &file, const std::string &path) {
  PEER_TRY_ASSIGN(SafetensorsIndex index, readIndex(file, path));
  for (const std::string &part : index.files) {
    PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> opened, MappedFile::open(part));
    PEER_TRY(addPart(std::move(opened), part));
  }
  std::vector<std::string> absent, unnamed;
  for (const auto &[tensor, number] : index.fileOfName)
    if (auto found = infos.find(tensor); found == infos.end() || found->second.part != number)
      absent.push_back(concat("\"", tensor, "\""));
  for (const auto &[tensor, info] : infos)
    if (!index.fileOfName.contains(tensor))
      unnamed.push_back(concat("\"", tensor, "\""));
  if (!absent.empty())
    return Status::error(path, " puts tensors into files that do not hold them: ", listText(absent));
  if (!unnamed.empty())
    return Status::error(path, " does not name tensors that its files hold: ", listText(unnamed));
  return {};
}

Status SafetensorsFile::readAt(const TensorInfo &info, uint64_t offset, void *target, uint64_t bytes) const {
  const Part &part = parts[info.part];
  return part.file->read(part.dataStart + info.begin + offset, target, bytes);
}

Result<Tensor> SafetensorsFile::read(std::string_view tensor) const {
  auto found = infos.find(tensor);
  if (found == infos.end())
    return Status::error(name, " has no tensor \"", tensor, "\"");
  PEER_TRY_ASSIGN(Tensor target,
                  Tensor::zeros(found->second.dtype, found->second.shape, concat("tensor \"", tensor, "\" of ", name)));
  PEER_TRY(readInto(tensor, target));
  return target;
}

Status SafetensorsFile::readInto(std::string_view tensor, Tensor &target) const {
  auto found = infos.find(tensor);
  if (found == infos.end())
    return Status::error(name, " has no tensor \"", tensor, "\"");
  const TensorInfo &info = found->second;
  if (info.dtype != target.dtype() || info.shape != target.shape())
    return Status::error(name, ": tensor \"", tensor, "\" is ", typeText(info.dtype, info.shape), ", expected ",
                         typeText(target.dtype(), target.shape()));
  return readAt(info, 0, target.data(), target.bytes());
}

Result<TensorMap> readSafetensors(const std::string &path) {
  PEER_TRY_ASSIGN(SafetensorsFile file, SafetensorsFile::open(path));
  TensorMap tensors;
  for (const auto &[name, info] : file.tensors()) {
    PEER_TRY_ASSIGN(Tensor tensor, file.read(name));
    tensors.emplace(name, std::move(tensor));
  }
  return tensors;
}

Status SafetensorsFile::readBytes(std::string_view tensor, uint64_t offset, void *target, uint64_t bytes) const {
  auto found = infos.find(tensor);
  if (found == infos.end())
    return Status::error(name, " has no tensor \"", tensor, "\"");
  assert(offset + bytes <= found->second.end - found->second.begin);
  return readAt(found->second, offset, target, bytes);
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::string &path, std::vector<TensorHeader> tensors,
                                                    const Metadata &metadata) {
  // Wide types first, so that every tensor is aligned to its elements, as the reference implementation does.
  std::sort(tensors.begin(), tensors.end(), [](const TensorHeader &a, const TensorHeader &b) {
    size_t widthA = dtypeSize(a.dtype), widthB = dtypeSize(b.dtype);
    return widthA != widthB ? widthA > widthB : a.name < b.name;
  });
  std::set<std::string_view> names;
  for (const TensorHeader &item : tensors)
    if (item.name == "__metadata__" || !names.insert(item.name).second)
      return Status::error("cannot write ", path, ": the tensor name \"", item.name, "\" is ",
                           item.name == "__metadata__" ? "reserved" : "used twice");
  for (const TensorHeader &item : tensors)
    if (Result<int64_t> bytes = byteCount(item.dtype, item.shape); !bytes.ok())
      return Status::error("cannot write ", path, ": tensor \"", item.name, "\": ", bytes.message());
  std::string header = headerText(tensors, metadata);
  uint64_t headerBytes = header.size();
  if (headerBytes > kMaxHeader)
    return Status::error("cannot write ", path, ": its header would take ", headerBytes, " bytes, and at most ",
                         kMaxHeader, " are allowed");
  PEER_TRY_ASSIGN(AtomicFile file, AtomicFile::create(path));
  PEER_TRY(file.write(&headerBytes, 8));
  PEER_TRY(file.write(header));
  return SafetensorsWriter(std::move(file), std::move(tensors));
}

Status writeSafetensors(const std::string &path, const std::vector<NamedTensor> &tensors, const Metadata &metadata) {
  std::vector<TensorHeader> headers;
  std::map<std::string_view, const Tensor *> byName;
  for (const auto &[name, tensor] : tensors) {
    headers.push_back({name, tensor->dtype(), tensor->shape()});
    byName[name] = tensor;
  }
  PEER_TRY_ASSIGN(SafetensorsWriter file, SafetensorsWriter::create(path, std::move(headers), metadata));
  for (const TensorHeader &item : file.order()) {
    const Tensor &tensor = *byName.at(item.name);
    PEER_TRY(file.append(tensor.data(), tensor.bytes()));
  }
  return file.commit();
}

Status writeSafetensors(const std::string &path, const TensorMap &tensors, const Metadata &metadata) {
  std::vector<NamedTensor> list;
  for (const auto &[name, tensor] : tensors)
    list.push_back({name, &tensor});
  return writeSafetensors(path, list, metadata);
}

} // namespace peer::runtime
