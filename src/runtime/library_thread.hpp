#pragma once

#include <pthread.h>

namespace levada::detail {

/// Starts a thread of the library's own. It gets no signals: they go to the program's threads. And it begins
/// on another CPU than the caller's, if it may: a new thread that stands behind its busy creator waits until
/// the kernel takes the CPU from that, some milliseconds. Gives 0, or what pthread_create says.
[[nodiscard]] int start_thread(pthread_t& made, void* (*enter)(void*), void* argument) noexcept;

} // namespace levada::detail
