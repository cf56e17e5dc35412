#include "Against.h"

#include "commands/Table.h"
#include "core/Printable.h"
#include "lm/Progress.h"
#include "session/Bench.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

namespace peer::runtime {

namespace {
/// Of each round, its time by the first one's.
std::vector<double> ratios(const std::vector<double> &times, const std::vector<double> &first) {
  std::vector<double> all;
  for (size_t i = 0; i < times.size(); ++i)
    all.push_back(times[i] / first[i]);
  return all;
}

struct Compared {
  std::vector<std::string> names;
  std::vector<TurnTimes> times;
};

Result<Compared> compare(Session &session, const Entry &entry, const TensorMap &inputs,
                         const std::vector<std::string> &others, int64_t rounds) {
  Compared result;
  std::vector<std::unique_ptr<Session>> opened;
  std::vector<Session *> sessions{&session};
  result.names.push_back(session.path());
  for (const std::string &path : others) {
    PEER_TRY_ASSIGN(std::unique_ptr<Session> other, Session::open(path, std::string(session.device().name())));
    PEER_TRY_ASSIGN(const Entry *theirs, other->entry(entry.name));
    PEER_TRY(other->checkInputs(*theirs, inputs).status());
    PEER_TRY(other->share(session, *theirs));
    result.names.push_back(path);
    sessions.push_back(other.get());
    opened.push_back(std::move(other));
  }
  PEER_TRY_ASSIGN(result.times, benchInTurns(sessions, entry.name, inputs, rounds));
  return result;
}

std::string jsonText(const Compared &compared, const Entry &entry, int indent) {
  nlohmann::ordered_json turns = nlohmann::ordered_json::array();
  for (size_t i = 0; i < compared.names.size(); ++i) {
    const TurnTimes &times = compared.times[i];
    nlohmann::ordered_json kernels = nlohmann::ordered_json::object();
    for (const auto &[name, us] : times.kernelsUs)
      kernels[name] = us;
    turns.push_back({{"model", compared.names[i]},
                     {"median_us", quantile(times.callsUs, 0.5)},
                     {"of_first", quantile(ratios(times.callsUs, compared.times[0].callsUs), 0.5)},
                     {"calls_us", times.callsUs},
                     {"kernels_us", std::move(kernels)}});
  }
  nlohmann::ordered_json root = {{"entry", entry.name}, {"turns", std::move(turns)}};
  return root.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void printTable(const Compared &compared, const Entry &entry, int64_t rounds) {
  std::printf("%s: %lld calls of each, in turns\n", entry.name.c_str(), static_cast<long long>(rounds));
  Table table({"model", "median us", "min us", "of the first", "half of the rounds"});
  for (size_t i = 0; i < compared.names.size(); ++i) {
    const std::vector<double> &times = compared.times[i].callsUs, of = ratios(times, compared.times[0].callsUs);
    table.add({printableLine(compared.names[i]), fixed(quantile(times, 0.5), 1), fixed(quantile(times, 0), 1),
               fixed(quantile(of, 0.5), 3),
               concat(fixed(quantile(of, 0.25), 3), " to ", fixed(quantile(of, 0.75), 3))});
  }
  std::printf("%s", table.text("  ").c_str());
}

/// Comparisons of a program's, until it says no more.
Status answerAll(Session &session, const Entry &entry, const TensorMap &inputs) {
  for (std::string line; std::getline(std::cin, line);) {
    int64_t rounds = 0;
    auto [end, fault] = std::from_chars(line.data(), line.data() + line.size(), rounds);
    if (fault != std::errc() || end != line.data() + line.size() || rounds < 1 || rounds > 1000000)
      return Status::error("--against -: ", printableLine(line), ", expected a number of rounds from 1 to 1000000");
    std::vector<std::string> others;
    while (std::getline(std::cin, line) && !line.empty())
      others.push_back(line);
    PEER_TRY_ASSIGN(Compared compared, compare(session, entry, inputs, others, rounds));
    std::printf("%s\n", jsonText(compared, entry, -1).c_str());
    std::fflush(stdout);
  }
  return {};
}
} // namespace

Status benchAgainst(Session &session, const Entry &entry, const TensorMap &inputs,
                    const std::vector<std::string> &against, int64_t rounds, bool json) {
  if (std::ranges::find(against, "-") != against.end()) {
    if (against.size() > 1)
      return Status::error("--against - takes the names of artifacts from stdin: expected no other one");
    return answerAll(session, entry, inputs);
  }
  PEER_TRY_ASSIGN(Compared compared, compare(session, entry, inputs, against, rounds));
  if (json)
    std::printf("%s\n", jsonText(compared, entry, 2).c_str());
  else
    printTable(compared, entry, rounds);
  return {};
}

} // namespace peer::runtime
