// Status and Result<T>: how the runtime reports that something the user gave it is wrong.
//
// A message is one sentence without a trailing full stop: which file or tensor, which value, what was expected.
#pragma once

#include <cassert>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace peer::runtime {

/// Joins its arguments as an ostream would print them.
template <typename... Args>
std::string concat(const Args &...args) {
  std::ostringstream stream;
  (stream << ... << args);
  return std::move(stream).str();
}

/// Success, or one sentence that says what went wrong.
class [[nodiscard]] Status {
public:
  Status() = default;

  /// A failure whose message is the concatenation of `args`.
  template <typename... Args>
  static Status error(const Args &...args) {
    Status status;
    status.failure = concat(args...);
    return status;
  }

  bool ok() const { return !failure.has_value(); }

  /// The sentence; empty on success.
  const std::string &message() const {
    static const std::string none;
    return failure ? *failure : none;
  }

private:
  std::optional<std::string> failure;
};

/// A value, or the Status that explains why there is none.
template <typename T>
class [[nodiscard]] Result {
public:
  Result(T value) : held(std::move(value)) {}
  Result(Status status) : failure(std::move(status)) {
    assert(!failure.ok() && "a Result without a value needs an error");
  }

  bool ok() const { return held.has_value(); }
  const Status &status() const { return failure; }
  const std::string &message() const { return failure.message(); }

  /// The value; only where ok().
  T &value() & { return *held; }
  const T &value() const & { return *held; }
  T &&value() && { return std::move(*held); }
  T &operator*() & { return *held; }
  const T &operator*() const & { return *held; }
  T &&operator*() && { return std::move(*held); }
  T *operator->() { return &*held; }
  const T *operator->() const { return &*held; }

private:
  std::optional<T> held;
  Status failure;
};

} // namespace peer::runtime

#define PEER_CONCAT_IMPL(a, b) a##b
#define PEER_CONCAT(a, b) PEER_CONCAT_IMPL(a, b)

/// Returns from the enclosing function when the Status `expression` is an error.
#define PEER_TRY(expression)                                                                                           \
  do {                                                                                                                 \
    if (::peer::runtime::Status peerStatus = (expression); !peerStatus.ok())                                           \
      return peerStatus;                                                                                               \
  } while (false)

/// `PEER_TRY_ASSIGN(auto x, f())`: takes the value of a Result, or returns its error from the enclosing function.
#define PEER_TRY_ASSIGN(declaration, expression)                                                                       \
  PEER_TRY_ASSIGN_IMPL(PEER_CONCAT(peerResult, __LINE__), declaration, expression)
#define PEER_TRY_ASSIGN_IMPL(result, declaration, expression)                                                          \
  auto result = (expression);                                                                                          \
  if (!result.ok())                                                                                                    \
    return result.status();                                                                                            \
  declaration = std::move(result).value()
