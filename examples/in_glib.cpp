// levada inside GLib: the main loop of a desktop program drives a loop of ours.

#include <chrono>
#include <cstdio>
#include <exception>

#include <glib-unix.h>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

gboolean turn(gint, GIOCondition, gpointer loop) {
    static_cast<event_loop*>(loop)->poll();
    return G_SOURCE_CONTINUE;
}

/// A timer of GLib's that puts numbers into a channel: `try_send` never waits.
gboolean tick(gpointer data) {
    auto& out = *static_cast<channel<int>*>(data);
    static int n = 0;
    static_cast<void>(out.try_send(++n));
    if (n < 3) return G_SOURCE_CONTINUE;
    out.close();
    return G_SOURCE_REMOVE;
}

task<> show(recv_channel<int> in, GMainLoop* main) {
    while (auto n = co_await in.recv()) {
        co_await sleep_for(1ms);
        std::printf("tick %d\n", *n);
    }
    g_main_loop_quit(main);
}

} // namespace

int main() try {
    GMainLoop* const main = g_main_loop_new(nullptr, FALSE);
    {
        event_loop loop;
        const guint source = g_unix_fd_add(loop.fd(), G_IO_IN, turn, &loop);
        channel<int> ticks(8);
        g_timeout_add(2, tick, &ticks);
        loop.go(show, ticks, main);
        g_main_loop_run(main);
        g_source_remove(source);
    }
    g_main_loop_unref(main);
} catch (const std::exception& e) {
    std::fprintf(stderr, "in_glib: %s\n", e.what());
    return 1;
}
