//! What the cases share: how they run, the clock, and work.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::OnceLock;
use std::time::Instant;

#[derive(Clone, Copy, PartialEq)]
pub enum Clock {
    Wall,
    Processor,
}

/// A figure, or why this backend has none.
pub type Outcome = Result<f64, &'static str>;

pub struct Case {
    pub name: &'static str,
    pub size: usize, // operations at scale 1
    pub run: fn(usize) -> Outcome,
    pub left_out: Option<&'static str>, // why
}

pub const fn case(name: &'static str, size: usize, run: fn(usize) -> Outcome) -> Case {
    Case { name, size, run, left_out: None }
}

struct How {
    threads: usize,
    clock: Clock,
    begun: Instant,
}
static HOW: OnceLock<How> = OnceLock::new();

pub fn set_how(threads: usize, clock: Clock) {
    let _ = HOW.set(How { threads, clock, begun: Instant::now() });
}

pub fn threads() -> usize {
    HOW.get().unwrap().threads
}

fn processor_ns() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    extern "C" {
        fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
    }
    const PROCESS_TIME: i32 = 2; // CLOCK_PROCESS_CPUTIME_ID
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: Linux's timespec on 64-bit machines, and a clock that every process has.
    unsafe { clock_gettime(PROCESS_TIME, &mut t) };
    t.seconds as f64 * 1e9 + t.nanoseconds as f64
}

pub struct Stopwatch(f64);

impl Stopwatch {
    fn now() -> f64 {
        let how = HOW.get().unwrap();
        match how.clock {
            Clock::Wall => how.begun.elapsed().as_nanos() as f64,
            Clock::Processor => processor_ns(),
        }
    }
    pub fn start() -> Self {
        Stopwatch(Self::now())
    }
    pub fn ns(&self) -> f64 {
        Self::now() - self.0
    }
    pub fn ns_per(&self, n: usize) -> f64 {
        self.ns() / n as f64
    }
}

/// Runs it as a task of tokio's runtime, with as many workers as there are threads.
pub fn block_on<F>(main: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = if threads() == 1 {
        tokio::runtime::Builder::new_current_thread().enable_time().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads()).enable_time().build()
    };
    runtime.unwrap().block_on(async { tokio::spawn(main).await.unwrap() })
}

/// Work that no compiler shortens: each step, about a nanosecond, needs the one before.
pub fn work(mut x: u64, steps: usize) -> u64 {
    for _ in 0..steps {
        x = (x.wrapping_mul(5) / 4).wrapping_add(1);
    }
    x
}

pub fn twice(job: i64) -> i64 {
    job * 2
}

pub fn a_microsecond(job: i64) -> i64 {
    work(job as u64, 1000) as i64
}

/// Messages to be sent, which several producers take by the thousand.
pub struct Supply {
    all: usize,
    left: AtomicI64,
}

impl Supply {
    pub const BATCH: usize = 1000;
    pub fn new(n: usize) -> Self {
        let all = (n / Self::BATCH).max(1);
        Supply { all, left: AtomicI64::new(all as i64) }
    }
    pub fn take(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) > 0
    }
    pub fn messages(&self) -> usize {
        self.all * Self::BATCH
    }
}

/// The share of each thread.
pub fn each(n: usize) -> usize {
    (n / threads()).max(1)
}
