#include "support.hpp"

#include <levada/io/address.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/socket.h>

#include <string>
#include <string_view>

using namespace levada;
using namespace std::string_view_literals;

TEST_CASE("good addresses are read, and written as they are read again") {
    struct good {
        std::string_view text;
        std::string_view written;
        int family;
        unsigned port;
    };
    for (const good& g :
         {good{"127.0.0.1:80", "127.0.0.1:80", AF_INET, 80}, good{"0.0.0.0:0", "0.0.0.0:0", AF_INET, 0},
          good{"255.255.255.255:65535", "255.255.255.255:65535", AF_INET, 65535},
          good{"localhost:8080", "127.0.0.1:8080", AF_INET, 8080}, good{":443", "0.0.0.0:443", AF_INET, 443},
          good{"[::1]:80", "[::1]:80", AF_INET6, 80}, good{"[::]:1", "[::]:1", AF_INET6, 1},
          good{"[2001:DB8:0:0:0:0:0:1]:9", "[2001:db8::1]:9", AF_INET6, 9},
          good{"[::ffff:1.2.3.4]:5", "[::ffff:1.2.3.4]:5", AF_INET6, 5}}) {
        INFO(g.text);
        auto a = socket_address::parse(g.text);
        REQUIRE(a);
        CHECK(a->family() == g.family);
        CHECK(a->port() == g.port);
        CHECK(a->to_string() == g.written);
        auto again = socket_address::parse(a->to_string());
        REQUIRE(again);
        CHECK(*again == *a);
    }
    CHECK(socket_address().to_string() == "no address");
    CHECK(socket_address().port() == 0);
}

TEST_CASE("what is no address is refused, not guessed at") {
    for (std::string_view text : {""sv,
                                  ":"sv,
                                  "80"sv,
                                  "127.0.0.1"sv,
                                  "127.0.0.1:"sv,
                                  "127.0.0.1:65536"sv,
                                  "127.0.0.1:99999999999"sv,
                                  "127.0.0.1:-1"sv,
                                  "127.0.0.1:+1"sv,
                                  "127.0.0.1: 80"sv,
                                  "127.0.0.1:80 "sv,
                                  " 127.0.0.1:80"sv,
                                  "127.0.0.1:http"sv,
                                  "127.0.0.1:80x"sv,
                                  "127.0.0.1:0x50"sv,
                                  "127.0.0.1:8.0"sv,
                                  "127.0.0:80"sv,
                                  "127.0.0.256:80"sv,
                                  "1.2.3.4.5:80"sv,
                                  "127.1:80"sv,
                                  "2130706433:80"sv,
                                  "0x7f.0.0.1:80"sv,
                                  "example.org:80"sv,
                                  "::1:80"sv,
                                  "[::1]"sv,
                                  "[::1]80"sv,
                                  "[::1:80"sv,
                                  "::1]:80"sv,
                                  "[]:80"sv,
                                  "[127.0.0.1]:80"sv,
                                  "[[::1]]:80"sv,
                                  "[::1]x:80"sv,
                                  "[:::]:80"sv,
                                  "[12345::]:80"sv,
                                  "127.0.0.1\0:80"sv,
                                  "127.0.0.1\0.example.org:80"sv,
                                  "[::1\0]:80"sv,
                                  "127.0.0.1:80\0"sv,
                                  "localhost\0:80"sv,
                                  "LOCALHOST :80"sv}) {
        INFO("\"" << std::string(text) << "\", " << text.size() << " characters");
        auto a = socket_address::parse(text);
        CHECK_FALSE(a.has_value());
        if (!a) CHECK(a.error() == std::errc::invalid_argument);
    }
    const std::string is_long(100'000, '1');
    CHECK_FALSE(socket_address::parse(is_long + ":80").has_value());
    CHECK_FALSE(socket_address::parse("127.0.0.1:" + is_long).has_value());
    CHECK_FALSE(socket_address::parse("[" + is_long + "]:80").has_value());
}
