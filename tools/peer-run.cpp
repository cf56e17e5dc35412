// Runs compiled models: see peer-run --help.
#include "commands/Commands.h"

int main(int argc, char **argv) { return peer::runtime::runCommandLine(argc, argv); }
