// What a process has decided for all of its children.

#include "scenario.hpp"

#include <csignal>

#include <levada/levada.hpp>

using namespace levada;

SCENARIO("where SIGCHLD is ignored the end of a child is told, and that nobody knows how it ended") {
    EXPECT(run([]() -> task<> {
               for (const bool ignored : {true, false}) {
                   std::signal(SIGCHLD, ignored ? SIG_IGN : SIG_DFL);
                   auto child = child_process::start({"/bin/sh", "-c", "exit 7"});
                   if (ignored && !child && child.error() == std::errc::no_such_process)
                       continue; // it was faster
                   EXPECT(child);
                   auto ended = co_await child->wait();
                   if (ignored) EXPECT(!ended && ended.error() == std::errc::no_child_process);
                   else EXPECT(ended && ended->code == 7);
               }
           }) == 0);
}
