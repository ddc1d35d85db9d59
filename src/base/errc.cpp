#include <levada/base/errc.hpp>

#include <string>

#include <levada/base/result.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada::detail {

#if defined(_GLIBCXX_DEBUG)
const char built_with_debug_containers = 0;
#else
const char built_with_plain_containers = 0;
#endif

} // namespace levada::detail

namespace levada {
namespace {

class category final : public std::error_category {
public:
    const char* name() const noexcept override { return "levada"; }
    std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
            case errc::closed: return "closed";
            case errc::cancelled: return "cancelled";
            case errc::timed_out: return "timed out";
            case errc::full: return "full";
            case errc::empty: return "empty";
        }
        return "unknown levada error " + std::to_string(value);
    }
    std::error_condition default_error_condition(int value) const noexcept override {
        switch (static_cast<errc>(value)) {
            case errc::cancelled: return std::errc::operation_canceled;
            case errc::timed_out: return std::errc::timed_out;
            default: return std::error_condition(value, *this);
        }
    }
};

} // namespace

const std::error_category& levada_category() noexcept {
    static const category instance;
    return instance;
}

std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), levada_category()}; }

void detail::bad_result_access(std::error_code ec) noexcept {
    std::string text = "the value of a failed result was used; its error is ";
    text += ec.category().name();
    text += ": ";
    text += ec.message();
    fatal(text);
}

} // namespace levada
