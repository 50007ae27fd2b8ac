#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "ops/cpu/allocator.h"

namespace tigerbot {
namespace {

/// Installs the allocator for one test and puts LibTorch's own back.
class TensorAllocator : public testing::Test {
 protected:
  void SetUp() override { cpu::install_tensor_allocator(); }
  void TearDown() override { c10::SetCPUAllocator(c10::GetDefaultCPUAllocator(), /*priority=*/1); }
};

TEST_F(TensorAllocator, BlocksOfEverySizeAreWholeAlignedAndApart) {
  std::vector<at::Tensor> tensors;
  for (const std::int64_t bytes : {1, 63, 65535, 65536, 65537, 81920, 1048576, 3000000, 4194304,
                                   5000001, 40000000, 65536, 1048576}) {
    at::Tensor t = at::empty({bytes}, at::kByte);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data_ptr()) % 64, 0U) << bytes;
    t.fill_(static_cast<int>(tensors.size()));
    tensors.push_back(t);
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(tensors[i].eq(static_cast<int>(i)).all().item<bool>()) << i;
  }
}

TEST_F(TensorAllocator, WhatIsFreedIsUsedAgainForOtherSizes) {
  { const at::Tensor t = at::empty({30'000'000}, at::kByte); }
  const cpu::TensorMemory before = cpu::tensor_memory();
  EXPECT_GE(before.kept, 30'000'000U);
  std::vector<at::Tensor> parts;
  for (int i = 0; i < 4; ++i) parts.push_back(at::empty({7'000'000}, at::kByte));
  EXPECT_EQ(cpu::tensor_memory().extent, before.extent);
  EXPECT_LE(cpu::tensor_memory().kept, before.kept - 28'000'000);
  parts.clear();
  EXPECT_EQ(cpu::tensor_memory().kept, before.kept);
  const at::Tensor whole = at::empty({30'000'000}, at::kByte);
  EXPECT_EQ(cpu::tensor_memory().extent, before.extent);
}

TEST_F(TensorAllocator, ThreadsAllocateAndFreeTogether) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      for (int i = 1; i < 60; ++i) {
        const at::Tensor x = at::full({i * 9000}, t * 1000 + i, at::kInt);
        wrong[static_cast<std::size_t>(t)] += x.eq(t * 1000 + i).all().item<bool>() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST_F(TensorAllocator, AnEmptyTensorHasNoBlock) { EXPECT_EQ(at::empty({0}).data_ptr(), nullptr); }

}  // namespace
}  // namespace tigerbot
