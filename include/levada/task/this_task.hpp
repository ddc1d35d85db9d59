#pragma once

#include <string>

#include <levada/cancel/token.hpp>
#include <levada/detail/task/yield_op.hpp>

namespace levada {

/// The calling task. All but `unwinding` terminate outside of a task.
namespace this_task {

/// Lets the other ready tasks run. *Suspends* always, until its turn comes. *Cancel*: an operation.
[[nodiscard]] inline detail::yield_op yield() noexcept { return {}; }
/// The token that cancels the calling task where it stands: that of its innermost region, or its own.
[[nodiscard]] cancel_token token() noexcept;
/// Names the task, for dumps and messages.
void name(std::string name);
[[nodiscard]] std::string name();
/// Whether a cancel is unwinding the calling task: for guards that tell it from an ordinary exit.
[[nodiscard]] bool unwinding() noexcept;

} // namespace this_task
} // namespace levada
