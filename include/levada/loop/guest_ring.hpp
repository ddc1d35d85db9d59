#pragma once

#include <cstdint>

struct io_uring;

namespace levada {

/// Somebody else's ring for an `event_loop` to live in: `event_loop loop(guest_ring{&ring, tag})`.
///
/// `tag`, from 1 to 65535, marks what is ours: it stands in the top 16 bits of the `user_data` of our entries
/// (it may be given in that place as well). The owner's `user_data` must not have it there; addresses of
/// user space have 0. The owner submits and waits; the loop adds entries, and submits only when the
/// submission queue is full. An owner's chain of linked entries has to be whole before a task of the loop may
/// run: entries of ours would join it, which terminates. The ring has to outlive the loop.
struct guest_ring {
    io_uring* ring;
    std::uint64_t tag;
};

} // namespace levada
