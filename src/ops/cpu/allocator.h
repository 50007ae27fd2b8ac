#pragma once

#include <cstddef>

/// Memory for tensors that keeps what it has, asks for huge pages, and gives what one tensor leaves
/// to others of any size.
///
/// A fresh page costs a fault and a clearing, more than many an operation on it, and the C library
/// gives large blocks back to the kernel each time they are freed: a training step then clears the
/// same pages over and over. And a processor finds an address in a 2 MiB page where it would miss
/// in 4 KiB ones, so weights that are read from end to end stream faster.
namespace tigerbot::cpu {

/// Makes it the allocator of every CPU tensor made from now on; call it first thing in main().
void install_tensor_allocator();

struct TensorMemory {
  std::size_t extent = 0;  ///< bytes that tensors and the holes between them span; it only grows
  std::size_t kept = 0;    ///< bytes of it that are free and kept
};
TensorMemory tensor_memory();

}  // namespace tigerbot::cpu
