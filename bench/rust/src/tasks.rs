//! Tokio's tasks and timers, where no channel matters.

use crate::common::*;
use std::fs::read_to_string;
use std::future::{poll_fn, Future};
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{spawn, yield_now, JoinHandle};
use tokio_util::sync::CancellationToken;

async fn until(counter: &AtomicUsize, n: usize) {
    while counter.load(Ordering::Relaxed) < n {
        yield_now().await;
    }
}

fn go_and_finish(n: usize) -> Outcome {
    const BATCH: usize = 100;
    Ok(block_on(async move {
        let done = Arc::new(AtomicUsize::new(0));
        let mut started = 0;
        let watch = Stopwatch::start();
        while started < n {
            for _ in 0..BATCH {
                let done = done.clone();
                spawn(async move {
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            started += BATCH;
            until(&done, started).await;
        }
        watch.ns_per(started)
    }))
}

fn spawn_and_join(n: usize) -> Outcome {
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        for i in 0..n {
            black_box(spawn(async move { black_box(i) }).await.unwrap());
        }
        watch.ns_per(n)
    }))
}

fn spawn_all(n: usize) -> Vec<JoinHandle<usize>> {
    (0..n).map(|i| spawn(async move { black_box(i) })).collect()
}

fn spawn_all_and_join(n: usize) -> Outcome {
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        for h in spawn_all(n) {
            h.await.unwrap();
        }
        watch.ns_per(n)
    }))
}

fn group(n: usize) -> Outcome {
    const BATCH: usize = 100;
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        let mut started = 0;
        while started < n {
            for h in spawn_all(BATCH) {
                h.await.unwrap();
            }
            started += BATCH;
        }
        watch.ns_per(started)
    }))
}

/// The memory of this process that is in RAM.
fn resident_bytes() -> f64 {
    let text = read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

fn parked(n: usize) -> Outcome {
    Ok(block_on(async move {
        let begun = Arc::new(AtomicUsize::new(0));
        // What all wait for: a tokio channel has one receiver.
        let release = Arc::new(Semaphore::new(0));
        let before = resident_bytes();
        let waiting: Vec<_> = (0..n)
            .map(|_| {
                let (begun, release) = (begun.clone(), release.clone());
                spawn(async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    let _ = release.acquire().await.map(drop);
                })
            })
            .collect();
        until(&begun, n).await;
        let figure = (resident_bytes() - before).max(0.0) / n as f64;
        release.close();
        for h in waiting {
            h.await.unwrap();
        }
        figure
    }))
}

fn cancel(n: usize) -> Outcome {
    Ok(block_on(async move {
        let begun = Arc::new(AtomicUsize::new(0));
        let token = CancellationToken::new();
        let waiting: Vec<_> = (0..n)
            .map(|_| {
                let (begun, token) = (begun.clone(), token.clone());
                spawn(async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    token.cancelled().await;
                })
            })
            .collect();
        until(&begun, n).await;
        yield_now().await;
        let watch = Stopwatch::start();
        token.cancel();
        for h in waiting {
            h.await.unwrap();
        }
        watch.ns_per(n)
    }))
}

fn sleeps(n: usize) -> Outcome {
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        let asleep: Vec<_> = (0..n)
            .map(|i| spawn(tokio::time::sleep(Duration::from_millis(1 + i as u64 % 100))))
            .collect();
        for h in asleep {
            h.await.unwrap();
        }
        watch.ns_per(n)
    }))
}

fn timers(n: usize) -> Outcome {
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        for _ in 0..n {
            // Polled once, so that it is registered: a sleep that never was does nothing.
            let mut timer = pin!(tokio::time::sleep(Duration::from_secs(3600)));
            poll_fn(|context| Poll::Ready(black_box(timer.as_mut().poll(context).is_ready()))).await;
        }
        watch.ns_per(n)
    }))
}

fn counted(_: usize) -> Outcome {
    Err("it does not count its own memory")
}

pub fn cases() -> Vec<Case> {
    vec![
        case("a million parked tasks, bytes each", 1_000_000, parked),
        case("parked task, bytes", 100_000, counted),
        case("go and finish", 200_000, go_and_finish),
        case("spawn and join", 200_000, spawn_and_join),
        case("spawn a million tasks, join all", 1_000_000, spawn_all_and_join),
        case("group go and finish", 200_000, group),
        case("a million sleeps of 1 to 100 ms", 1_000_000, sleeps),
        case("timer made and dropped", 5_000_000, timers),
        case("cancel 100000 waiting tasks", 100_000, cancel),
    ]
}
