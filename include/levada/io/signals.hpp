#pragma once

#include <initializer_list>

#include <levada/channel/channel.hpp>

namespace levada {

/// A channel of the numbers of these signals as they arrive: `signal_channel({SIGINT, SIGTERM})`.
///
/// From the call on, until the runtime that it is made in ends, their effect is off: a handler of the process
/// takes them, on whichever thread they arrive, and what was there before is put back at the end. Several
/// channels may ask for the same signal; each gets it. A signal that is blocked in all threads does not
/// arrive; nor does what a task sends to its own thread by raise() on a loop that is not the first, whose
/// thread blocks signals: kill(getpid(), n) sends to the process. One that comes while 16 are unread is
/// dropped. Waiting for a signal does not count as work to come. Throws `std::system_error` for a number that
/// is no signal, or one that cannot be caught. In a task on an `event_loop`.
[[nodiscard]] recv_channel<int> signal_channel(std::initializer_list<int> signals);

} // namespace levada
