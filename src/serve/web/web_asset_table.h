#pragma once

#include <span>

#include "serve/web/web_assets.h"

namespace tigerbot::serve {

/// All files of the web page; cmake/WebAssets.cmake writes this function.
std::span<const WebAsset> web_asset_table();

}  // namespace tigerbot::serve
