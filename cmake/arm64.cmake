# SPDX-License-Identifier: Apache-2.0
# For 64-bit ARM, with Debian's cross compiler. `./dev cross` unpacks the libraries, of the same release, into build/cross/sysroot;
# L7_SYSROOT names another place.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

# CMake reads this file again for each of its trials, in another folder.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES L7_SYSROOT)
if(NOT L7_SYSROOT)
  set(L7_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/cross/sysroot)
endif()
get_filename_component(CMAKE_SYSROOT ${L7_SYSROOT} ABSOLUTE)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Nothing of this machine's own libraries is found.
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${CMAKE_SYSROOT})
