#pragma once

#include <initializer_list>

#include <levada/sync/channel.hpp>

namespace levada {

/// A channel of the numbers of these signals as they arrive: `signal_channel({SIGINT, SIGTERM})`.
///
/// From the call on, until the loop that it is made on ends, they are blocked in the calling thread (and in
/// threads that it starts) and read through the ring, so their default effect is off. Make it before other
/// threads start. A signal that comes while 16 are unread is dropped. Waiting for a signal does not count as
/// work to come. Throws `std::system_error` if the system refuses. On an `event_loop`'s thread, in a task.
[[nodiscard]] recv_channel<int> signal_channel(std::initializer_list<int> signals);

} // namespace levada
