//! Crossbeam's channels between threads: a thread stands for each task, so that there is nothing on one thread.

use crate::common::*;
use crossbeam_channel::{after, bounded, select, Receiver, Sender};
use std::hint::black_box;
use std::thread::{scope, Scope};
use std::time::Duration;

pub const NO_TASKS: &str = "it has no tasks, only threads";

fn on_threads(f: impl FnOnce() -> f64) -> Outcome {
    if threads() == 1 {
        return Err(NO_TASKS);
    }
    Ok(f())
}

fn ping_pong(n: usize) -> Outcome {
    on_threads(|| {
        let (there, got) = bounded::<i64>(0);
        let (answer, back) = bounded(0);
        scope(|s| {
            s.spawn(move || {
                for v in got {
                    answer.send(v).unwrap();
                }
            });
            let watch = Stopwatch::start();
            for i in 0..n / 2 {
                there.send(i as i64).unwrap();
                black_box(back.recv().unwrap());
            }
            drop(there);
            watch.ns_per(n)
        })
    })
}

fn flow<const SENDERS: usize, const RECEIVERS: usize, const CAPACITY: usize>(n: usize) -> Outcome {
    on_threads(|| {
        let (tx, rx) = bounded::<i64>(CAPACITY);
        let watch = Stopwatch::start();
        scope(|s| {
            for _ in 0..SENDERS {
                let tx = tx.clone();
                s.spawn(move || {
                    for i in 0..n / SENDERS {
                        tx.send(i as i64).unwrap();
                    }
                });
            }
            drop(tx);
            for _ in 0..RECEIVERS {
                let rx = rx.clone();
                s.spawn(move || black_box(rx.iter().sum::<i64>()));
            }
        });
        watch.ns_per(n)
    })
}

/// Channels that a thread feeds in turns. Their sending ends are kept beside: a closed channel is ready.
fn feed<'s>(s: &'s Scope<'s, '_>, k: usize, capacity: usize, n: usize) -> (Vec<Sender<i64>>, Vec<Receiver<i64>>) {
    let (to, from): (Vec<_>, Vec<_>) = (0..k).map(|_| bounded(capacity)).unzip();
    let kept = to.clone();
    s.spawn(move || {
        for i in 0..n {
            to[i % k].send(i as i64).unwrap();
        }
    });
    (kept, from)
}

fn select_fed_2<const CAPACITY: usize>(n: usize) -> Outcome {
    on_threads(|| {
        scope(|s| {
            let watch = Stopwatch::start();
            let (_kept, c) = feed(s, 2, CAPACITY, n);
            for _ in 0..n {
                select! { recv(c[0]) -> v => black_box(v), recv(c[1]) -> v => black_box(v) }.ok();
            }
            watch.ns_per(n)
        })
    })
}

fn select_fed_8(n: usize) -> Outcome {
    on_threads(|| {
        scope(|s| {
            let watch = Stopwatch::start();
            let (_kept, c) = feed(s, 8, 64, n);
            for _ in 0..n {
                select! {
                    recv(c[0]) -> v => black_box(v),
                    recv(c[1]) -> v => black_box(v),
                    recv(c[2]) -> v => black_box(v),
                    recv(c[3]) -> v => black_box(v),
                    recv(c[4]) -> v => black_box(v),
                    recv(c[5]) -> v => black_box(v),
                    recv(c[6]) -> v => black_box(v),
                    recv(c[7]) -> v => black_box(v)
                }
                .ok();
            }
            watch.ns_per(n)
        })
    })
}

fn select_ready(n: usize) -> Outcome {
    on_threads(|| {
        const BATCH: usize = 2000;
        let (fill_a, a) = bounded(BATCH);
        let (fill_b, b) = bounded(BATCH);
        let (mut total, mut done) = (0.0, 0);
        while done < n {
            while fill_a.try_send(1).is_ok() {}
            while fill_b.try_send(1).is_ok() {}
            let watch = Stopwatch::start();
            for _ in 0..BATCH {
                select! { recv(a) -> v => black_box(v), recv(b) -> v => black_box(v) }.ok();
            }
            total += watch.ns();
            done += BATCH;
        }
        total / done as f64
    })
}

fn select_otherwise(n: usize) -> Outcome {
    on_threads(|| {
        let (_tx, rx) = bounded::<i64>(0);
        let watch = Stopwatch::start();
        for _ in 0..n {
            select! { recv(rx) -> v => { let _ = black_box(v); }, default => () }
        }
        watch.ns_per(n)
    })
}

fn select_timeout<const CAPACITY: usize>(n: usize) -> Outcome {
    on_threads(|| {
        scope(|s| {
            let watch = Stopwatch::start();
            let (_kept, c) = feed(s, 1, CAPACITY, n);
            for _ in 0..n {
                select! {
                    recv(c[0]) -> v => { let _ = black_box(v); },
                    recv(after(Duration::from_secs(3600))) -> _ => ()
                }
            }
            watch.ns_per(n)
        })
    })
}

fn pool<const WORK: bool>(n: usize) -> Outcome {
    on_threads(|| {
        let (jobs, todo) = bounded(64);
        let (done, results) = bounded(64);
        let watch = Stopwatch::start();
        scope(|s| {
            for _ in 0..4 {
                let (todo, done) = (todo.clone(), done.clone());
                s.spawn(move || {
                    for job in todo {
                        done.send(if WORK { a_microsecond(job) } else { twice(job) }).unwrap();
                    }
                });
            }
            drop((todo, done));
            s.spawn(move || {
                for i in 0..n {
                    jobs.send(i as i64).unwrap();
                }
            });
            black_box(results.iter().fold(0, |sum, v| sum ^ v));
        });
        watch.ns_per(n)
    })
}

fn chan_sync(n: usize) -> Outcome {
    on_threads(|| {
        let (tx, rx) = bounded::<i64>(0);
        let watch = Stopwatch::start();
        scope(|s| {
            for side in 0..2 {
                let (tx, rx) = (tx.clone(), rx.clone());
                s.spawn(move || {
                    for i in 0..n {
                        if i % 2 == side {
                            tx.send(i as i64).unwrap();
                        } else {
                            black_box(rx.recv().unwrap());
                        }
                    }
                });
            }
        });
        watch.ns_per(n)
    })
}

fn prod_cons<const CAPACITY: usize, const STEPS: usize>(n: usize) -> Outcome {
    on_threads(|| {
        let (tx, rx) = bounded::<i64>(CAPACITY);
        let messages = Supply::new(n);
        let watch = Stopwatch::start();
        scope(|s| {
            for _ in 0..threads() {
                s.spawn(|| {
                    let mut x = 1;
                    while messages.take() {
                        for _ in 0..Supply::BATCH {
                            x = work(x, STEPS);
                            tx.send(1).unwrap();
                        }
                    }
                    black_box(x);
                    tx.send(0).unwrap(); // ends one consumer
                });
                s.spawn(|| {
                    let mut x = 1;
                    while rx.recv().unwrap() != 0 {
                        x = work(x, STEPS);
                    }
                    black_box(x);
                });
            }
        });
        watch.ns_per(messages.messages())
    })
}

fn select_prod_cons(n: usize) -> Outcome {
    on_threads(|| {
        let (tx, rx) = bounded::<i64>(128);
        let (_idle1, timer) = bounded::<i64>(0);
        let (_idle2, closing) = bounded::<i64>(1);
        let messages = Supply::new(n);
        let watch = Stopwatch::start();
        scope(|s| {
            for _ in 0..threads() {
                s.spawn(|| {
                    let mut x = 1;
                    while messages.take() {
                        for _ in 0..Supply::BATCH {
                            x = work(x, 100);
                            select! {
                                send(tx, 1) -> sent => sent.unwrap(),
                                recv(timer) -> _ => return,
                                recv(closing) -> _ => return
                            }
                        }
                    }
                    black_box(x);
                    tx.send(0).unwrap();
                });
                s.spawn(|| {
                    let mut x = 1;
                    loop {
                        select! {
                            recv(rx) -> v => if v == Ok(0) { break },
                            recv(timer) -> _ => break,
                            recv(closing) -> _ => break
                        }
                        x = work(x, 100);
                    }
                    black_box(x);
                });
            }
        });
        watch.ns_per(messages.messages())
    })
}

/// Runs it on each thread.
fn on_each_thread(f: impl Fn() + Sync) {
    scope(|s| {
        for _ in 0..threads() {
            s.spawn(&f);
        }
    });
}

const BURST: usize = 100;

fn bursts(tx: &Sender<i64>, rx: &Receiver<i64>, rounds: usize) {
    for _ in 0..rounds {
        for j in 0..BURST {
            tx.send(j as i64).unwrap();
        }
        for _ in 0..BURST {
            black_box(rx.recv().unwrap());
        }
    }
}

fn chan_uncontended(n: usize) -> Outcome {
    on_threads(|| {
        let rounds = (n / BURST / threads()).max(1);
        let watch = Stopwatch::start();
        on_each_thread(|| {
            let (tx, rx) = bounded(BURST);
            bursts(&tx, &rx, rounds);
        });
        watch.ns_per(rounds * BURST * threads())
    })
}

fn chan_contended(n: usize) -> Outcome {
    on_threads(|| {
        let rounds = (n / BURST / threads()).max(1);
        let (tx, rx) = bounded(BURST * threads());
        let watch = Stopwatch::start();
        on_each_thread(|| bursts(&tx, &rx, rounds));
        watch.ns_per(rounds * BURST * threads())
    })
}

type Ends = (Sender<i64>, Receiver<i64>);

fn pass_round(a: &Ends, b: &Ends, n: usize) {
    a.0.send(0).unwrap();
    for _ in 0..n {
        let to = select! { recv(a.1) -> _ => &b.0, recv(b.1) -> _ => &a.0 };
        to.send(0).unwrap();
    }
}

fn select_uncontended(n: usize) -> Outcome {
    on_threads(|| {
        let share = each(n);
        let watch = Stopwatch::start();
        on_each_thread(|| pass_round(&bounded(1), &bounded(1), share));
        watch.ns_per(share * threads())
    })
}

fn select_async_contended(n: usize) -> Outcome {
    on_threads(|| {
        let share = each(n);
        let (a, b) = (bounded(threads()), bounded(threads()));
        let watch = Stopwatch::start();
        on_each_thread(|| pass_round(&a, &b, share));
        watch.ns_per(share * threads())
    })
}

fn select_sync_contended(n: usize) -> Outcome {
    on_threads(|| {
        let share = each(n);
        let (a, b, c) = (bounded::<i64>(0), bounded::<i64>(0), bounded::<i64>(0));
        let (done, end) = bounded::<i64>(0);
        scope(|s| {
            for _ in 0..threads() {
                s.spawn(|| loop {
                    select! {
                        send(a.0, 0) -> sent => sent.unwrap(),
                        send(b.0, 0) -> sent => sent.unwrap(),
                        send(c.0, 0) -> sent => sent.unwrap(),
                        recv(end) -> _ => break
                    }
                });
            }
            let watch = Stopwatch::start();
            on_each_thread(|| {
                for _ in 0..share {
                    select! {
                        recv(a.1) -> v => black_box(v),
                        recv(b.1) -> v => black_box(v),
                        recv(c.1) -> v => black_box(v)
                    }
                    .ok();
                }
            });
            let figure = watch.ns_per(share * threads());
            drop(done);
            figure
        })
    })
}

fn select_nonblock(n: usize) -> Outcome {
    on_threads(|| {
        let (_tx_a, a) = bounded::<i64>(0);
        let (tx_b, _b) = bounded::<i64>(0);
        let (_tx_c, c) = bounded::<i64>(1);
        let (tx_d, _d) = bounded::<i64>(1);
        let rounds = (n / 4).max(1);
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            select! { recv(a) -> v => { let _ = black_box(v); }, default => () }
            select! { send(tx_b, 0) -> sent => { let _ = black_box(sent); }, default => () }
            select! { recv(c) -> v => { let _ = black_box(v); }, default => () }
            select! { send(tx_d, 0) -> sent => { let _ = black_box(sent); }, default => () }
        }
        watch.ns_per(rounds * 4)
    })
}

fn chan_sem(n: usize) -> Outcome {
    on_threads(|| {
        let share = each(n);
        let (tx, rx) = bounded(threads());
        let watch = Stopwatch::start();
        on_each_thread(|| {
            for _ in 0..share {
                tx.send(0).unwrap();
                black_box(rx.recv().unwrap());
            }
        });
        watch.ns_per(share * threads())
    })
}

fn ping_pong_hog(n: usize) -> Outcome {
    on_threads(|| {
        let (stop, stopped) = bounded::<i64>(0);
        scope(|s| {
            s.spawn(move || loop {
                select! { recv(stopped) -> _ => break, default => () }
            });
            let figure = ping_pong(n).unwrap();
            drop(stop);
            figure
        })
    })
}

fn too_many(_: usize) -> Outcome {
    Err(NO_TASKS)
}
use too_many as chan_popular;
use too_many as sieve;
use too_many as skynet;

include!("list.rs");
