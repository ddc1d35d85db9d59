#pragma once

namespace levada::detail {

/// Every thread of the process passes a full barrier before this returns. False where that cannot be had.
[[nodiscard]] bool barrier_for_all() noexcept;

} // namespace levada::detail
