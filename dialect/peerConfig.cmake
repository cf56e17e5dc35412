# find_package(peer): the target peer::dialect, headers and flags for plugins of peer-opt.
include(CMakeFindDependencyMacro)
if(NOT DEFINED MLIR_DIR AND EXISTS /usr/lib/llvm-22/lib/cmake/mlir)
  set(MLIR_DIR /usr/lib/llvm-22/lib/cmake/mlir)
endif()
find_dependency(MLIR CONFIG)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  set(peer_FOUND FALSE)
  set(peer_NOT_FOUND_MESSAGE "MLIR ${LLVM_VERSION_MAJOR} found in ${MLIR_DIR}; peer-opt is built on MLIR 22")
  return()
endif()

get_filename_component(PEER_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET peer::dialect)
  separate_arguments(PEER_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")
  add_library(peer::dialect INTERFACE IMPORTED)
  set_target_properties(peer::dialect PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${PEER_PREFIX}/include/peer"
    # LLVM is used without run-time type information, as in peer-opt itself.
    INTERFACE_COMPILE_OPTIONS "${PEER_LLVM_DEFINITIONS};-fno-rtti")
  target_include_directories(peer::dialect SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
endif()
