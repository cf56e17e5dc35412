// Which devices there are, by name. A new one is a class and a line in Devices.cpp.
#pragma once

#include "Device.h"

namespace peer::runtime {

struct DeviceKind {
  std::string_view name;
  /// The manifest's `target.device` of the artifacts that run on it.
  std::string_view runs;
  /// What it is, for --help.
  std::string_view help;
  /// Those artifacts, in messages: "models compiled for GPUs (peer-opt --target=sm_90)".
  std::string_view models;
  /// Whether every machine has it.
  bool everywhere;
  /// Opens it for artifacts compiled for `arch`, which is empty where their target has none.
  Result<std::shared_ptr<Device>> (*open)(const std::string &arch);
  /// The --target of peer-opt for a model that is to run on it here.
  Result<std::string> (*target)();
};

std::span<const DeviceKind> deviceKinds();

/// The names: "cpu, cuda, sim".
std::string deviceNames();

/// The device of a name; one sentence with the names where there is none.
Result<const DeviceKind *> findDevice(std::string_view name);

/// What an artifact runs on: `wanted`, or the device it was compiled for where that is empty. An error where it cannot run there.
Result<const DeviceKind *> chooseDevice(const Manifest &manifest, const std::string &wanted, const std::string &path);

/// Opens the device for an artifact. The error says what else runs it.
Result<std::shared_ptr<Device>> openDevice(const DeviceKind &kind, const Manifest &manifest, const std::string &path);

} // namespace peer::runtime
