#pragma once

// Everything but the helpers for tests (<levada/testing.hpp>).

#include <levada/base/clock.hpp>
#include <levada/base/errc.hpp>
#include <levada/base/executor.hpp>
#include <levada/base/frame_pool.hpp>
#include <levada/base/result.hpp>
#include <levada/cancel/callback.hpp>
#include <levada/cancel/source.hpp>
#include <levada/cancel/token.hpp>
#include <levada/core/defer.hpp>
#include <levada/core/join_handle.hpp>
#include <levada/core/or_throw.hpp>
#include <levada/core/scope.hpp>
#include <levada/core/spawn.hpp>
#include <levada/core/task.hpp>
#include <levada/core/task_group.hpp>
#include <levada/core/this_task.hpp>
#include <levada/core/when_all.hpp>
#include <levada/core/with_group.hpp>
#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/file.hpp>
#include <levada/io/signals.hpp>
#include <levada/io/tcp.hpp>
#include <levada/patterns/fan_out.hpp>
#include <levada/patterns/worker_pool.hpp>
#include <levada/runtime/event_loop.hpp>
#include <levada/runtime/run.hpp>
#include <levada/runtime/runtime.hpp>
#include <levada/sync/channel.hpp>
#include <levada/sync/ends.hpp>
#include <levada/sync/select.hpp>
#include <levada/sync/ticker.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
