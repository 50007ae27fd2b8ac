#pragma once

#include "serve/options.h"

namespace tigerbot::serve {

/// Serves until SIGTERM or SIGINT: then takes no more requests, lets running answers end within the
/// limit, and returns. SIGHUP reads the keys anew.
void run_server(const ServeOptions& options);

}  // namespace tigerbot::serve
