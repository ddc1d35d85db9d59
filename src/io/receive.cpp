#include <levada/detail/io/receiver.hpp>
#include <levada/detail/io/system_failure.hpp>

#include <liburing.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "../loop/buffer_pool.hpp"
#include "../loop/ring.hpp"

namespace levada {

void io_buffer::give_back() noexcept {
    if (pool_) pool_->give_back(id_);
    else ::operator delete(data_);
    data_ = nullptr;
    size_ = 0;
}

namespace detail {

receiver::~receiver() { ::operator delete(own_); }

void receiver::prepare(io_uring_sqe& sqe) noexcept {
    if (is_abandoned()) return io_uring_prep_nop(&sqe); // its descriptor may be another's by now
    one_shot_ = !multishot_ || std::exchange(own_next_, false) || !on().buffers();
    if (!one_shot_) {
        io_uring_prep_recv_multishot(&sqe, fd_, nullptr, 0, 0);
        sqe.flags |= IOSQE_BUFFER_SELECT;
        sqe.buf_group = buffer_pool::group;
        return;
    }
    if (!own_) own_ = static_cast<std::byte*>(::operator new(buffer_pool::size, std::nothrow));
    if (!own_) io_uring_prep_nop(&sqe);
    else if (socket_) io_uring_prep_recv(&sqe, fd_, own_, buffer_pool::size, 0);
    else io_uring_prep_read(&sqe, fd_, own_, buffer_pool::size, ~std::uint64_t(0));
}

receiver::next receiver::arrived(int answer, unsigned flags) noexcept {
    if (answer == -ECANCELED) return next::more; // we asked for it
    received r;
    r.answer = answer;
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        buffer_pool* const pool = on().buffers();
        const unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        r.bytes = io_buffer(pool->take(id), static_cast<std::size_t>(answer > 0 ? answer : 0), id, pool);
    } else if (one_shot_) {
        if (!own_) r.answer = -ENOMEM;
        else if (answer > 0)
            r.bytes = io_buffer(std::exchange(own_, nullptr), static_cast<std::size_t>(answer), 0, nullptr);
    } else if (answer == -ENOBUFS) {
        own_next_ = !on().buffers()->grow();
        return next::again;
    } else if (answer == -EINVAL) {
        multishot_ = false; // an older kernel, or a socket of some other kind
        return next::again;
    }
    if (interrupted(r.answer)) return next::again;
    // Who cannot take it all at once takes what is asked for.
    if (r.answer > 0 && !one_shot_) on().ends().watch(unsure_);
    const bool over = r.answer <= 0 || (one_shot_ && (!multishot_ || !on().buffers()));
    bring(std::move(r));
    return over ? next::over : next::more;
}

void receiver::let_go() noexcept {
    if (unsure_.watched) on().ends().forget(unsure_);
}

void receiver::bring_kept(std::span<const std::byte> bytes) {
    auto* const own = static_cast<std::byte*>(::operator new(bytes.size()));
    std::memcpy(own, bytes.data(), bytes.size());
    received r;
    r.bytes = io_buffer(own, bytes.size(), 0, nullptr);
    r.answer = static_cast<int>(bytes.size());
    put_back(std::move(r));
}

void receiver::bring_failure(int answer) {
    received r;
    r.answer = answer;
    put_back(std::move(r));
}

receive_op::outcome receive_op::take() noexcept {
    received r = taken();
    if (r.answer < 0) return system_failure(r.answer);
    if (r.answer == 0) return fail(errc::closed);
    return std::move(r.bytes);
}

} // namespace detail
} // namespace levada
