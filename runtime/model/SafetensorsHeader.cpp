#include "SafetensorsHeader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace peer::runtime {

using nlohmann::json;

namespace {
/// The reference's limit on nested values.
constexpr size_t kMaxDepth = 127;

/// Takes the events of the JSON parser, so that the header of 40,000 tensors is never held as a document. What is read at the moment is the
/// innermost of `states`; `entered` says whether its bracket was seen.
class HeaderReader {
public:
  HeaderReader(SafetensorsHeader &header, const std::string &path) : header(header), path(path) {}

  Status failure;

  // Metadata of null is none.
  bool null() { return !ignored && state() == State::Metadata && !entered ? leave() : value("null"); }
  bool boolean(bool) { return value("a truth value"); }
  bool number_integer(int64_t) { return value("a number below 0"); }
  bool number_float(double, const std::string &) { return value("a fraction"); }
  bool binary(json::binary_t &) { return value("bytes"); }

  bool number_unsigned(uint64_t number) {
    if (ignored || (state() != State::Shape && state() != State::Offsets))
      return value("a number");
    if (!entered || number > INT64_MAX)
      return badList();
    if (state() == State::Shape)
      info.shape.push_back(static_cast<int64_t>(number));
    else if (offsets < 2)
      (offsets++ == 0 ? info.begin : info.end) = number;
    else
      return badList();
    return true;
  }

  bool string(std::string &text) {
    if (!ignored && state() == State::Metadata && entered) {
      header.metadata[field] = std::move(text);
      return true;
    }
    if (ignored || state() != State::DType)
      return value("a string");
    std::optional<DType> dtype = parseSafetensorsDType(text);
    if (!dtype)
      return bad(" has the unknown dtype \"", text, "\"");
    info.dtype = *dtype;
    return leave();
  }

  bool start_object(size_t) {
    if (ignored)
      return deeper();
    if (state() == State::Start)
      return push(State::Tensors) && enter();
    if ((state() == State::Metadata || state() == State::Tensor) && !entered)
      return enter();
    return value("an object");
  }

  bool key(std::string &text) {
    if (ignored)
      return true;
    if (state() == State::Metadata) {
      field = std::move(text);
      return true;
    }
    if (state() == State::Tensors)
      return beginTensor(text);
    for (State known : {State::DType, State::Shape, State::Offsets})
      if (text == fieldName(known))
        return beginField(known);
    // What the reference does not know it passes over.
    ignored = 1;
    return true;
  }

  bool end_object() {
    if (ignored)
      return shallower();
    return (state() != State::Tensor || finishTensor()) && leave();
  }

  bool start_array(size_t) {
    if (ignored)
      return deeper();
    if ((state() == State::Shape || state() == State::Offsets) && !entered)
      return enter();
    if (state() != State::Tensor || entered)
      return value("a list");
    // The reference takes the three fields in this order, too.
    asList = true;
    return beginField(State::DType);
  }

  bool end_array() {
    if (ignored)
      return shallower();
    if (state() == State::Shape || state() == State::Offsets) {
      bool whole = entered && (state() == State::Shape || offsets == 2);
      return whole ? leave() : badList();
    }
    return state() == State::Tensor && finishTensor() ? leave() : undescribed();
  }

  bool parse_error(size_t, const std::string &, const json::exception &) {
    return fail(" is not a safetensors file: its header is not valid JSON");
  }

private:
  enum class State : uint8_t { Start, Tensors, Metadata, Tensor, DType, Shape, Offsets };

  static std::string_view fieldName(State state) {
    return state == State::DType ? "dtype" : state == State::Shape ? "shape" : "data_offsets";
  }

  State state() const { return states.empty() ? State::Start : states.back(); }
  bool push(State next) {
    states.push_back(next);
    entered = false;
    return true;
  }
  bool enter() { return entered = true; }
  bool leave() {
    State left = states.back();
    states.pop_back();
    entered = true;
    if (asList && (left == State::DType || left == State::Shape))
      return beginField(left == State::DType ? State::Shape : State::Offsets);
    return true;
  }
  /// `ignored` counts from 1, the value itself; a value without brackets ends there and then.
  bool deeper() {
    return ++ignored + states.size() <= kMaxDepth ||
           fail(" is not a safetensors file: the values of its header nest too deeply");
  }
  bool shallower() {
    if (--ignored == 1)
      ignored = 0;
    return true;
  }

  bool beginTensor(std::string &text) {
    name = std::move(text);
    if (name == "__metadata__" ? std::exchange(hasMetadata, true) : header.tensors.contains(name))
      return fail(": the name \"", name, "\" appears twice in the header");
    info = {};
    seen = offsets = 0;
    asList = false;
    return push(name == "__metadata__" ? State::Metadata : State::Tensor);
  }
  bool beginField(State known) {
    unsigned bit = 1u << static_cast<unsigned>(known);
    if (seen & bit)
      return bad(" has ", fieldName(known), " twice");
    seen |= bit;
    return push(known);
  }
  bool finishTensor() {
    if (seen != kAllFields)
      return undescribed();
    header.tensors.emplace(name, info);
    return true;
  }

  template <typename... What>
  bool fail(const What &...what) {
    failure = Status::error(path, what...);
    return false;
  }
  template <typename... What>
  bool bad(const What &...what) {
    return fail(": tensor \"", name, "\"", what...);
  }
  bool badList() {
    return state() == State::Shape ? bad(" must have a shape of non-negative integers")
                                   : bad(" must have two non-negative integers as data_offsets");
  }
  bool undescribed() { return bad(" must be described by dtype, shape and data_offsets"); }

  /// A value that is passed over, or one where another was expected.
  bool value(const char *what) {
    if (ignored) {
      if (ignored == 1)
        ignored = 0;
      return true;
    }
    switch (state()) {
    case State::Start:
    case State::Tensors:
      return fail(" is not a safetensors file: its header must be a JSON object");
    case State::Metadata:
      return entered ? fail(": __metadata__ must be an object of strings, but \"", field, "\" is none")
                     : fail(": __metadata__ must be an object of strings");
    case State::Tensor:
      return undescribed();
    case State::DType:
      return bad(" has ", what, " as its dtype, expected a string such as \"F32\"");
    case State::Shape:
    case State::Offsets:
      break;
    }
    return badList();
  }

  static constexpr unsigned kAllFields = 1u << static_cast<unsigned>(State::DType) |
                                         1u << static_cast<unsigned>(State::Shape) |
                                         1u << static_cast<unsigned>(State::Offsets);

  SafetensorsHeader &header;
  const std::string &path;
  std::vector<State> states;
  bool entered = false, hasMetadata = false, asList = false;
  std::string name, field;
  TensorInfo info{};
  unsigned seen = 0, offsets = 0;
  size_t ignored = 0;
};

Status outOfRange(const std::string &path, const std::string &name, const TensorInfo &info, uint64_t dataBytes) {
  return Status::error(path, ": tensor \"", name, "\" has the data offsets [", info.begin, ", ", info.end,
                       "], which are out of range: the file holds ", dataBytes, " bytes of data");
}

/// The bytes of a tensor by the reference's rule: a product from the left, so that sizes after a zero may be anything.
Result<int64_t> bytesInFile(const TensorInfo &info) {
  int64_t count = 1;
  for (int64_t size : info.shape)
    if (__builtin_mul_overflow(count, size, &count))
      return byteCount(info.dtype, info.shape);
  return count == 0 ? Result<int64_t>(0) : byteCount(info.dtype, info.shape);
}

Status checkTensor(const std::string &name, const TensorInfo &info, uint64_t dataBytes, const std::string &path) {
  if (info.begin > info.end || info.end > dataBytes)
    return outOfRange(path, name, info, dataBytes);
  Result<int64_t> bytes = bytesInFile(info);
  if (!bytes.ok())
    return Status::error(path, ": tensor \"", name, "\": ", bytes.message());
  if (info.end - info.begin != static_cast<uint64_t>(*bytes))
    return Status::error(path, ": tensor \"", name, "\" is ", typeText(info.dtype, info.shape), ", which takes ",
                         *bytes, " bytes, but its data offsets span ", info.end - info.begin);
  return {};
}

/// The tensors must cover the data section exactly: no overlaps, no gaps.
Status checkLayout(const TensorInfos &infos, uint64_t dataBytes, const std::string &path) {
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
} // namespace

Result<SafetensorsHeader> parseSafetensorsHeader(std::string_view text, uint64_t dataBytes, const std::string &path) {
  SafetensorsHeader header;
  HeaderReader reader(header, path);
  // The parser would take a byte-order mark for nothing, and a zero byte for the end.
  if (text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos)
    return Status::error(path, " is not a safetensors file: its header is not valid JSON");
  if (!json::sax_parse(text, &reader))
    return reader.failure;

  // A cut-off file is the commonest damage; name it rather than the first tensor that is out of range.
  uint64_t needed = 0;
  for (const auto &[name, info] : header.tensors)
    needed = std::max(needed, info.end);
  for (const auto &[name, info] : header.tensors)
    PEER_TRY(checkTensor(name, info, needed, path));
  Status layout = checkLayout(header.tensors, std::max(needed, dataBytes), path);
  if (needed <= dataBytes) {
    PEER_TRY(layout);
    return header;
  }
  // Too little data: a header that fits together says that the file was cut off, any other that its offsets are wrong.
  if (layout.ok())
    return Status::error(path, " is truncated: its tensors take ", needed, " bytes, but only ", dataBytes,
                         " follow the header");
  for (const auto &[tensor, info] : header.tensors)
    if (info.end > dataBytes)
      return outOfRange(path, tensor, info, dataBytes);
  return layout;
}

} // namespace peer::runtime
