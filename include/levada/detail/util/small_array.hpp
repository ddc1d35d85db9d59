#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include <levada/base/frame_pool.hpp>

namespace levada::detail {

/// An array of trivial things whose size is known at run time: inside itself up to `N`, else from the frame
/// pool. The elements start out uninitialized.
template <class T, std::size_t N>
class small_array {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    small_array() noexcept : size_(0), data_(few_) {}
    explicit small_array(std::size_t n) : size_(n), data_(n <= N ? few_ : more(n)) {}
    ~small_array() { release(); }
    small_array(const small_array&) = delete;
    small_array& operator=(const small_array&) = delete;

    /// Forgets the elements.
    void reset(std::size_t n) {
        release();
        data_ = n <= N ? few_ : more(n);
        size_ = n;
    }
    [[nodiscard]] T* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] T* begin() noexcept { return data_; }
    [[nodiscard]] T* end() noexcept { return data_ + size_; }
    [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }

private:
    static T* more(std::size_t n) { return static_cast<T*>(frame_pool::allocate(n * sizeof(T))); }
    void release() noexcept {
        if (data_ != few_) frame_pool::deallocate(data_, size_ * sizeof(T));
        data_ = few_;
        size_ = 0;
    }
    std::size_t size_;
    T* data_;
    T few_[N];
};

} // namespace levada::detail
