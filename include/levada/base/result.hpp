#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/detail/util/flat_result.hpp>

namespace levada {

template <class T>
class result;

/// What `fail(ec)` makes: converts to a failed `result` of any type.
class [[nodiscard]] failure {
public:
    explicit failure(std::error_code ec) noexcept : error_(ec) {}
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

private:
    std::error_code error_;
};

/// A failed result of any type: `co_return fail(errc::closed);`.
inline failure fail(std::error_code ec) noexcept { return failure(ec); }

namespace detail {

[[noreturn]] void bad_result_access(std::error_code ec) noexcept;

} // namespace detail

/// A value or a `std::error_code`, with the member names of `std::expected`.
///
/// `*r` and `r->` on a failure terminate and print the code; `value()` throws `std::system_error`.
template <class T>
class [[nodiscard]] result {
    static_assert(!std::is_reference_v<T> && !std::is_void_v<T>);

public:
    using value_type = T;
    using error_type = std::error_code;

    result()
        requires std::default_initializable<T>
        : has_(true), value_() {}
    template <class U = T>
        requires(!std::same_as<std::remove_cvref_t<U>, result> &&
                 !std::same_as<std::remove_cvref_t<U>, failure> && std::constructible_from<T, U>)
    explicit(!std::convertible_to<U, T>) result(U&& value) : has_(true), value_(std::forward<U>(value)) {}
    template <class... A>
        requires std::constructible_from<T, A...>
    explicit result(std::in_place_t, A&&... args) : has_(true), value_(std::forward<A>(args)...) {}
    result(failure f) noexcept : has_(false), error_(f.error()) {}

    result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : has_(other.has_) {
        if (has_) std::construct_at(std::addressof(value_), std::move(other.value_));
        else std::construct_at(&error_, other.error_);
    }
    result(const result& other)
        requires std::copy_constructible<T>
        : has_(other.has_) {
        if (has_) std::construct_at(std::addressof(value_), other.value_);
        else std::construct_at(&error_, other.error_);
    }
    result& operator=(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
        if (this != &other) {
            std::destroy_at(this);
            std::construct_at(this, std::move(other));
        }
        return *this;
    }
    result& operator=(const result& other)
        requires std::copy_constructible<T>
    {
        if (this != &other) *this = result(other);
        return *this;
    }
    ~result() {
        if (has_) value_.~T();
    }

    [[nodiscard]] bool has_value() const noexcept { return has_; }
    explicit operator bool() const noexcept { return has_; }

    [[nodiscard]] T& operator*() & noexcept { return check(), value_; }
    [[nodiscard]] const T& operator*() const& noexcept { return check(), value_; }
    [[nodiscard]] T&& operator*() && noexcept { return check(), std::move(value_); }
    [[nodiscard]] T* operator->() noexcept { return check(), std::addressof(value_); }
    [[nodiscard]] const T* operator->() const noexcept { return check(), std::addressof(value_); }

    T& value() & { return throw_if_failed(), value_; }
    const T& value() const& { return throw_if_failed(), value_; }
    T&& value() && { return throw_if_failed(), std::move(value_); }

    /// The code of a failure; a code of value 0 where there is a value.
    [[nodiscard]] std::error_code error() const noexcept { return has_ ? std::error_code() : error_; }

    template <class U>
    [[nodiscard]] T value_or(U&& other) const& {
        return has_ ? value_ : static_cast<T>(std::forward<U>(other));
    }
    template <class U>
    [[nodiscard]] T value_or(U&& other) && {
        return has_ ? std::move(value_) : static_cast<T>(std::forward<U>(other));
    }

    /// `f(value)`, which gives a result; a failure passes through.
    template <class F>
    [[nodiscard]] auto and_then(F&& f) && -> std::remove_cvref_t<std::invoke_result_t<F, T>> {
        if (!has_) return fail(error_);
        return std::invoke(std::forward<F>(f), std::move(value_));
    }
    template <class F>
    [[nodiscard]] auto and_then(F&& f) const& -> std::remove_cvref_t<std::invoke_result_t<F, const T&>> {
        if (!has_) return fail(error_);
        return std::invoke(std::forward<F>(f), value_);
    }
    /// `f(value)` as a result; a failure passes through.
    template <class F>
    [[nodiscard]] auto transform(F&& f) && -> result<std::remove_cvref_t<std::invoke_result_t<F, T>>> {
        if (!has_) return fail(error_);
        if constexpr (std::is_void_v<std::invoke_result_t<F, T>>) {
            std::invoke(std::forward<F>(f), std::move(value_));
            return {};
        } else {
            return std::invoke(std::forward<F>(f), std::move(value_));
        }
    }
    template <class F>
    [[nodiscard]] auto transform(
        F&& f) const& -> result<std::remove_cvref_t<std::invoke_result_t<F, const T&>>> {
        if (!has_) return fail(error_);
        if constexpr (std::is_void_v<std::invoke_result_t<F, const T&>>) {
            std::invoke(std::forward<F>(f), value_);
            return {};
        } else {
            return std::invoke(std::forward<F>(f), value_);
        }
    }
    /// `f(error)`, which gives a result of the same value type; a value passes through.
    template <class F>
    [[nodiscard]] result or_else(F&& f) && {
        if (has_) return std::move(*this);
        return std::invoke(std::forward<F>(f), error_);
    }
    template <class F>
    [[nodiscard]] result or_else(F&& f) const& {
        if (has_) return *this;
        return std::invoke(std::forward<F>(f), error_);
    }

    friend bool operator==(const result& a, const result& b)
        requires std::equality_comparable<T>
    {
        return a.has_ == b.has_ && (a.has_ ? a.value_ == b.value_ : a.error_ == b.error_);
    }
    template <std::same_as<T> U>
        requires std::equality_comparable<U>
    friend bool operator==(const result& a, const U& b) {
        return a.has_ && a.value_ == b;
    }

private:
    void check() const noexcept {
        if (!has_) [[unlikely]]
            detail::bad_result_access(error_);
    }
    void throw_if_failed() const {
        if (!has_) throw std::system_error(error_);
    }

    bool has_;
    union {
        T value_;
        std::error_code error_;
    };
};

template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;
    using error_type = std::error_code;

    result() noexcept : failed_(false) {}
    explicit result(std::in_place_t) noexcept : failed_(false) {}
    result(failure f) noexcept : failed_(true), error_(f.error()) {}

    [[nodiscard]] bool has_value() const noexcept { return !failed_; }
    explicit operator bool() const noexcept { return !failed_; }
    void operator*() const noexcept {
        if (failed_) detail::bad_result_access(error_);
    }
    void value() const {
        if (failed_) throw std::system_error(error_);
    }
    [[nodiscard]] std::error_code error() const noexcept { return failed_ ? error_ : std::error_code(); }

    template <class F>
    [[nodiscard]] auto and_then(F&& f) const -> std::remove_cvref_t<std::invoke_result_t<F>> {
        if (failed_) return fail(error_);
        return std::invoke(std::forward<F>(f));
    }
    template <class F>
    [[nodiscard]] auto transform(F&& f) const -> result<std::remove_cvref_t<std::invoke_result_t<F>>> {
        if (failed_) return fail(error_);
        if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
            std::invoke(std::forward<F>(f));
            return {};
        } else {
            return std::invoke(std::forward<F>(f));
        }
    }
    template <class F>
    [[nodiscard]] result or_else(F&& f) const {
        if (!failed_) return *this;
        return std::invoke(std::forward<F>(f), error_);
    }

    friend bool operator==(const result& a, const result& b) noexcept {
        return a.failed_ == b.failed_ && (!a.failed_ || a.error_ == b.error_);
    }

private:
    bool failed_;
    union { // a success costs no look at a category
        std::error_code error_;
    };
};

/// A result that refers; `*r` is the referred object.
template <class T>
class [[nodiscard]] result<T&> {
public:
    using value_type = T&;
    using error_type = std::error_code;

    result(T& value) noexcept : value_(std::addressof(value)) {}
    result(failure f) noexcept : error_(f.error()) {}

    [[nodiscard]] bool has_value() const noexcept { return value_ != nullptr; }
    explicit operator bool() const noexcept { return value_ != nullptr; }
    [[nodiscard]] T& operator*() const noexcept {
        if (!value_) detail::bad_result_access(error_);
        return *value_;
    }
    [[nodiscard]] T* operator->() const noexcept { return &**this; }
    T& value() const {
        if (!value_) throw std::system_error(error_);
        return *value_;
    }
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

private:
    T* value_ = nullptr;
    std::error_code error_;
};

} // namespace levada
