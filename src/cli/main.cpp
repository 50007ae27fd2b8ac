#include <cstdio>

#include "base/error.h"

int main() {
  std::puts("tigerbot");
  return 0;
}
