#include "Arguments.h"

#include <cctype>

namespace peer::runtime {

namespace {
/// The option that an argument names, such as "--out", "-o" or "--out=x"; null where it names none.
const CLI::Option *optionOf(const CLI::App &command, const std::string &argument) {
  if (argument.size() < 2 || argument[0] != '-')
    return nullptr;
  return command.get_option_no_throw(argument.substr(0, argument.find('=')));
}

bool takesValue(const CLI::Option &option) { return option.get_items_expected_min() > 0; }

/// "--" and a letter is an option, if not of this command then misspelt; a dash alone, numbers and other text are values.
bool looksLikeOption(const CLI::App &command, const std::string &argument) {
  return optionOf(command, argument) || argument == "--" ||
         (argument.size() > 2 && argument.starts_with("--") && std::isalpha(static_cast<unsigned char>(argument[2])));
}

std::string longName(const CLI::Option &option) { return "--" + option.get_lnames().front(); }

Status checkValue(const CLI::Option &option, const std::string &value) {
  if (!value.empty() || option.get_type_name() == "TEXT")
    return {};
  return Status::error(longName(option), " is empty, expected ", option.get_type_name());
}
} // namespace

Result<std::vector<std::string>> tieValues(const CLI::App &app, const std::vector<std::string> &arguments) {
  const CLI::App *command = &app;
  std::vector<std::string> tied;
  auto tie = [&](const CLI::Option &option, const std::string &value) {
    // An empty value only counts as one where it is an argument of its own.
    if (value.empty())
      tied.insert(tied.end(), {longName(option), ""});
    else
      tied.push_back(longName(option) + "=" + value);
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &argument = arguments[i];
    if (argument == "--") {
      tied.insert(tied.end(), arguments.begin() + static_cast<ptrdiff_t>(i), arguments.end());
      break;
    }
    if (command == &app && !argument.starts_with("-"))
      if (auto named = app.get_subcommands([&](const CLI::App *sub) { return sub->check_name(argument); });
          !named.empty()) {
        command = named.front();
        tied.push_back(argument);
        continue;
      }
    if (argument.empty())
      return Status::error("an argument is empty: expected the name of a file or an option");
    const CLI::Option *option = optionOf(*command, argument);
    if (!option) {
      tied.push_back(argument);
      continue;
    }
    size_t equals = argument.find('=');
    if (!takesValue(*option)) {
      if (equals != std::string::npos)
        return Status::error(argument.substr(0, equals), " takes no value");
      tied.push_back(argument);
    } else if (equals != std::string::npos) {
      PEER_TRY(checkValue(*option, argument.substr(equals + 1)));
      tie(*option, argument.substr(equals + 1));
    } else if (i + 1 == arguments.size()) {
      return Status::error(argument, " wants a value: ", option->get_type_name());
    } else if (const std::string &value = arguments[++i]; looksLikeOption(*command, value)) {
      return Status::error(argument, " wants a value, and what follows is the option ", value,
                           " (as a value: ", longName(*option), "=", value, ")");
    } else {
      PEER_TRY(checkValue(*option, value));
      tie(*option, value);
    }
  }
  return tied;
}

} // namespace peer::runtime
