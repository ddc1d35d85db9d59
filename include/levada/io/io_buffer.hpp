#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace levada {

namespace detail {
class buffer_pool;
class receiver;
} // namespace detail

/// Bytes that came, in memory lent by the loop that received them, which gets it back when this is destroyed.
/// Move-only; may go to another task or thread, and outlive its stream and its loop. A piece of one byte
/// holds the memory of the largest (16 KiB): copy what is kept for long.
class [[nodiscard]] io_buffer {
public:
    io_buffer() noexcept = default;
    io_buffer(io_buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          id_(other.id_),
          pool_(std::exchange(other.pool_, nullptr)) {}
    io_buffer& operator=(io_buffer&& other) noexcept {
        if (this != &other) {
            reset();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
            id_ = other.id_;
            pool_ = std::exchange(other.pool_, nullptr);
        }
        return *this;
    }
    ~io_buffer() { reset(); }

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char*>(data_), size_};
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    /// Gives the memory back early.
    void reset() noexcept {
        if (data_) give_back();
    }

private:
    friend class detail::receiver;
    io_buffer(std::byte* data, std::size_t size, std::uint32_t id, detail::buffer_pool* pool) noexcept
        : data_(data), size_(static_cast<std::uint32_t>(size)), id_(id), pool_(pool) {}
    void give_back() noexcept;

    std::byte* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t id_ = 0;
    detail::buffer_pool* pool_ = nullptr; // null: the heap's
};

} // namespace levada
