#include "Safetensors.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

namespace peer::runtime {

using nlohmann::json;

namespace {
// The limit of the reference implementation.
constexpr uint64_t kMaxHeader = 100'000'000;

/// Parses the header; JSON itself lets a later key replace an earlier one, which would hide a duplicate tensor.
Result<json> parseHeader(const std::string &text, const std::string &path) {
  std::set<std::string> seen;
  std::string duplicate;
  auto noteKeys = [&](int depth, json::parse_event_t event, json &value) {
    if (event == json::parse_event_t::key && depth == 1 && !seen.insert(value.get<std::string>()).second)
      duplicate = value.get<std::string>();
    return true;
  };
  try {
    json header = json::parse(text, noteKeys);
    if (!header.is_object())
      return Status::error(path, " is not a safetensors file: its header must be a JSON object");
    if (!duplicate.empty())
      return Status::error(path, ": the name \"", duplicate, "\" appears twice in the header");
    return header;
  } catch (const json::exception &e) {
    return Status::error(path, " is not a safetensors file: its header is not valid JSON");
  }
}

Result<Metadata> parseMetadata(const json &value, const std::string &path) {
  Metadata metadata;
  if (!value.is_object())
    return Status::error(path, ": __metadata__ must be an object of strings");
  for (const auto &[key, text] : value.items()) {
    if (!text.is_string())
      return Status::error(path, ": __metadata__ must be an object of strings, but \"", key, "\" is none");
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

Status outOfRange(const std::string &path, const std::string &name, const TensorInfo &info, uint64_t dataBytes) {
  return Status::error(path, ": tensor \"", name, "\" has the data offsets [", info.begin, ", ", info.end,
                       "], which are out of range: the file holds ", dataBytes, " bytes of data");
}

Result<TensorInfo> parseTensor(const std::string &name, const json &value, uint64_t dataBytes,
                               const std::string &path) {
  auto bad = [&](const auto &...what) { return Status::error(path, ": tensor \"", name, "\"", what...); };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets"))
    return bad(" must be described by dtype, shape and data_offsets");
  const json &type = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
  TensorInfo info{};
  std::optional<DType> dtype =
      type.is_string() ? parseSafetensorsDType(type.get_ref<const std::string &>()) : std::nullopt;
  if (!dtype)
    return bad(" has the unknown dtype ", type.dump(-1, ' ', false, json::error_handler_t::replace));
  info.dtype = *dtype;
  auto isSize = [](const json &number) { return number.is_number_unsigned() && number.get<uint64_t>() <= INT64_MAX; };
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), isSize))
    return bad(" must have a shape of non-negative integers");
  for (const json &size : shape)
    info.shape.push_back(size.get<int64_t>());
  if (!offsets.is_array() || offsets.size() != 2 || !std::all_of(offsets.begin(), offsets.end(), isSize))
    return bad(" must have two non-negative integers as data_offsets");
  info.begin = offsets[0].get<uint64_t>();
  info.end = offsets[1].get<uint64_t>();
  if (info.begin > info.end || info.end > dataBytes)
    return outOfRange(path, name, info, dataBytes);
  Result<int64_t> bytes = byteCount(info.dtype, info.shape);
  if (!bytes.ok())
    return bad(": ", bytes.message());
  if (info.end - info.begin != static_cast<uint64_t>(*bytes))
    return bad(" is ", typeText(info.dtype, info.shape), ", which takes ", *bytes, " bytes, but its data offsets span ",
               info.end - info.begin);
  return info;
}

/// The tensors must cover the data section exactly: no overlaps, no gaps.
Status checkLayout(const std::map<std::string, TensorInfo, std::less<>> &infos, uint64_t dataBytes,
                   const std::string &path) {
  std::vector<std::pair<const std::string *, const TensorInfo *>> order;
  for (const auto &[name, info] : infos)
    order.emplace_back(&name, &info);
  std::sort(order.begin(), order.end(), [](const auto &a, const auto &b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  uint64_t end = 0;
  const std::string *previous = nullptr;
  for (const auto &[name, info] : order) {
    if (info->begin < end)
      return Status::error(path, ": the data of tensors \"", *previous, "\" and \"", *name, "\" overlap");
    if (info->begin > end)
      return Status::error(path, ": ", info->begin - end, " bytes before tensor \"", *name, "\" belong to no tensor");
    end = info->end;
    previous = name;
  }
  if (end != dataBytes)
    return Status::error(path, ": the last ", dataBytes - end, " bytes belong to no tensor");
  return {};
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
  result.name = path;
  PEER_TRY_ASSIGN(result.file, MappedFile::open(path));
  uint64_t size = result.file->size(), headerBytes = 0;
  if (size < 8)
    return Status::error(path, " is not a safetensors file: it has ", size,
                         " bytes, and the length of the header alone takes 8");
  PEER_TRY(result.file->read(0, &headerBytes, 8));
  if (headerBytes > kMaxHeader)
    return Status::error(path, " is not a safetensors file: its first 8 bytes announce a header of ", headerBytes,
                         " bytes, and at most ", kMaxHeader, " are allowed");
  if (headerBytes > size - 8)
    return Status::error(path, " is truncated: its header takes ", headerBytes, " bytes, but only ", size - 8,
                         " follow");
  std::string text(headerBytes, '\0');
  PEER_TRY(result.file->read(8, text.data(), headerBytes));
  PEER_TRY_ASSIGN(json header, parseHeader(text, path));

  result.dataStart = 8 + headerBytes;
  uint64_t dataBytes = size - result.dataStart;
  // A cut-off file is the commonest damage; name it rather than the first tensor that is out of range.
  uint64_t needed = 0;
  for (const auto &[name, value] : header.items())
    if (value.is_object() && value.contains("data_offsets") && value["data_offsets"].is_array() &&
        value["data_offsets"].size() == 2 && value["data_offsets"][1].is_number_unsigned())
      needed = std::max(needed, value["data_offsets"][1].get<uint64_t>());
  for (const auto &[name, value] : header.items()) {
    if (name == "__metadata__") {
      PEER_TRY_ASSIGN(result.meta, parseMetadata(value, path));
      continue;
    }
    Result<TensorInfo> info = parseTensor(name, value, needed, path);
    if (!info.ok())
      return info.status();
    result.infos.emplace(name, *std::move(info));
  }
  Status layout = checkLayout(result.infos, std::max(needed, dataBytes), path);
  if (needed <= dataBytes) {
    PEER_TRY(layout);
    return result;
  }
  // Too little data: a header that fits together says that the file was cut off, any other that its offsets are wrong.
  if (layout.ok())
    return Status::error(path, " is truncated: its tensors take ", needed, " bytes, but only ", dataBytes,
                         " follow the header");
  for (const auto &[tensor, info] : result.infos)
    if (info.end > dataBytes)
      return outOfRange(path, tensor, info, dataBytes);
  return result;
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
  return file->read(dataStart + info.begin, target.data(), target.bytes());
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
  return file->read(dataStart + found->second.begin + offset, target, bytes);
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
