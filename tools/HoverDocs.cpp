//===- HoverDocs.cpp - what an op means, where the mouse is --------------===//

#include "HoverDocs.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/LSP/Transport.h"
#include "llvm/Support/raw_ostream.h"

#include <thread>
#include <unistd.h>

using namespace llvm;

/// The documentation of all ops, as mlir-tblgen writes it.
static constexpr StringLiteral kOps =
#include "PeerOpDocs.inc"
    ;

/// Summary, results and description of `peer.NAME`; empty where there is no such op.
static std::string documentationOf(StringRef op) {
  // A section is title, summary, syntax, description, and tables from the traits on.
  StringRef section = kOps.substr(kOps.find(("### `" + op + "` (").str())).split("\n### ").first.split('\n').second;
  if (section.empty())
    return "";
  auto [summary, rest] = section.split("\n\nSyntax:\n\n```\n");
  StringRef description = rest.split("\n```\n").second;
  for (StringRef end : {"\nTraits: ", "\nInterfaces: ", "\n#### "})
    description = description.split(end).first;
  StringRef results = section.split("\n| `results` | ").second.split(" |\n").first; // names and types
  std::string listed = results.empty() ? "" : ("Results: " + results + "\n\n").str();
  std::string about = summary.trim("_ \n").str(); // begins with a capital, whatever it had
  about[0] = about.size() > 1 && isUpper(about[1]) ? about[0] : toLower(about[0]);
  return ("**" + op + "**: " + about + "\n\n" + listed + description.trim() + "\n\n---\n\n").str();
}

/// Puts the documentation before the text of a hover that is about an op.
static void document(json::Value &message) {
  json::Object *result = message.getAsObject() ? message.getAsObject()->getObject("result") : nullptr;
  json::Object *contents = result ? result->getObject("contents") : nullptr;
  if (!contents)
    return;
  std::string text = contents->getString("value").value_or("").str();
  StringRef name(text); // what is said about an op begins with its quoted name
  if (name.consume_front("\"") && name.starts_with("peer."))
    (*contents)["value"] = documentationOf(name.split('"').first) + text;
}

/// Copies framed messages until the server closes its end.
static void relay(std::FILE *from, int to) {
  lsp::JSONTransportInputOverFile input(from);
  raw_fd_ostream out(to, /*shouldClose=*/true);
  while (!input.isEndOfInput() && !input.hasError()) {
    std::string text;
    if (failed(input.readMessage(text)))
      continue;
    if (Expected<json::Value> message = json::parse(text)) {
      document(*message);
      text = formatv("{0}", *message);
    } else {
      consumeError(message.takeError());
    }
    out << "Content-Length: " << text.size() << "\r\n\r\n" << text;
    out.flush();
    out.clear_error(); // an editor that is gone ends the server by closing its input
  }
}

int withHoverDocs(function_ref<int()> server) {
  int ends[2], out = dup(STDOUT_FILENO);
  if (out < 0 || pipe(ends) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
    return server();
  close(ends[1]);
  std::thread relaying(relay, fdopen(ends[0], "r"), out);
  int result = server();
  outs().flush();
  close(STDOUT_FILENO);
  relaying.join();
  return result;
}
