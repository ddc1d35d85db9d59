#pragma once

#include <source_location>

// A default argument that names the caller's line cannot follow a pack, so those who start tasks exist for
// each number of arguments: NAME(f, args..., where) calls NAME_at(where, f, args...).
#define LEVADA_INTERNAL_FORWARD(x) static_cast<decltype(x)&&>(x)
#define LEVADA_INTERNAL_CALLER const std::source_location& where = std::source_location::current()
#define LEVADA_INTERNAL_STARTER(QUALIFIERS, NAME, IMPLEMENTATION)                                            \
    template <class F>                                                                                       \
    QUALIFIERS NAME(F&& f, LEVADA_INTERNAL_CALLER) {                                                         \
        return IMPLEMENTATION(where, LEVADA_INTERNAL_FORWARD(f));                                            \
    }                                                                                                        \
    template <class F, class A>                                                                              \
    QUALIFIERS NAME(F&& f, A&& a, LEVADA_INTERNAL_CALLER) {                                                  \
        return IMPLEMENTATION(where, LEVADA_INTERNAL_FORWARD(f), LEVADA_INTERNAL_FORWARD(a));                \
    }                                                                                                        \
    template <class F, class A, class B>                                                                     \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, LEVADA_INTERNAL_CALLER) {                                           \
        return IMPLEMENTATION(where, LEVADA_INTERNAL_FORWARD(f), LEVADA_INTERNAL_FORWARD(a),                 \
                              LEVADA_INTERNAL_FORWARD(b));                                                   \
    }                                                                                                        \
    template <class F, class A, class B, class C>                                                            \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, C&& c, LEVADA_INTERNAL_CALLER) {                                    \
        return IMPLEMENTATION(where, LEVADA_INTERNAL_FORWARD(f), LEVADA_INTERNAL_FORWARD(a),                 \
                              LEVADA_INTERNAL_FORWARD(b), LEVADA_INTERNAL_FORWARD(c));                       \
    }                                                                                                        \
    template <class F, class A, class B, class C, class D>                                                   \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, C&& c, D&& d, LEVADA_INTERNAL_CALLER) {                             \
        return IMPLEMENTATION(where, LEVADA_INTERNAL_FORWARD(f), LEVADA_INTERNAL_FORWARD(a),                 \
                              LEVADA_INTERNAL_FORWARD(b), LEVADA_INTERNAL_FORWARD(c),                        \
                              LEVADA_INTERNAL_FORWARD(d));                                                   \
    }                                                                                                        \
    template <class F, class A, class B, class C, class D, class E, class... More>                           \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, C&& c, D&& d, E&& e, More&&... more) {                              \
        return IMPLEMENTATION(std::source_location(), LEVADA_INTERNAL_FORWARD(f),                            \
                              LEVADA_INTERNAL_FORWARD(a), LEVADA_INTERNAL_FORWARD(b),                        \
                              LEVADA_INTERNAL_FORWARD(c), LEVADA_INTERNAL_FORWARD(d),                        \
                              LEVADA_INTERNAL_FORWARD(e), LEVADA_INTERNAL_FORWARD(more)...);                 \
    }
