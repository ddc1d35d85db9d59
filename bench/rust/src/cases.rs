// The cases that are about channels, for one backend: included in each module of `backends`.

use super::{channel, Rx, Tx, RENDEZVOUS, SEVERAL_RECEIVERS};
use crate::backends::{NO_RENDEZVOUS, ONE_RECEIVER};
use crate::common::*;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{spawn, JoinHandle};

async fn join(tasks: Vec<JoinHandle<()>>) {
    for t in tasks {
        t.await.unwrap();
    }
}

/// The channel, or why this backend has none of that capacity.
fn make(capacity: usize) -> Result<(Tx, Rx), &'static str> {
    if capacity == 0 && !RENDEZVOUS {
        return Err(NO_RENDEZVOUS);
    }
    Ok(channel(capacity))
}

fn make_several(k: usize, capacity: usize) -> Result<(Vec<Tx>, Vec<Rx>), &'static str> {
    (0..k).map(|_| make(capacity)).collect()
}

fn ping_pong(n: usize) -> Outcome {
    let (there, mut got) = make(0)?;
    let (answer, mut back) = make(0)?;
    Ok(block_on(async move {
        let other = spawn(async move {
            while let Some(v) = got.recv().await {
                answer.send(v).await;
            }
        });
        let watch = Stopwatch::start();
        for i in 0..n / 2 {
            there.send(i as i64).await;
            black_box(back.recv().await);
        }
        let figure = watch.ns_per(n);
        drop(there);
        other.await.unwrap();
        figure
    }))
}

fn flow<const SENDERS: usize, const RECEIVERS: usize, const CAPACITY: usize>(n: usize) -> Outcome {
    if RECEIVERS > 1 && !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let (tx, rx) = make(CAPACITY)?;
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        let mut tasks = Vec::new();
        for _ in 0..SENDERS {
            let tx = tx.clone();
            tasks.push(spawn(async move {
                for i in 0..n / SENDERS {
                    tx.send(i as i64).await;
                }
            }));
        }
        drop(tx);
        let mut receivers: Vec<Rx> = (1..RECEIVERS).map(|_| rx.another()).collect();
        receivers.push(rx);
        for mut rx in receivers {
            tasks.push(spawn(async move {
                let mut sum = 0;
                while let Some(v) = rx.recv().await {
                    sum += v;
                }
                black_box(sum);
            }));
        }
        join(tasks).await;
        watch.ns_per(n)
    }))
}

fn select_ready(n: usize) -> Outcome {
    const BATCH: usize = 2000;
    let (fill_a, mut a) = make(BATCH)?;
    let (fill_b, mut b) = make(BATCH)?;
    Ok(block_on(async move {
        let (mut total, mut done) = (0.0, 0);
        while done < n {
            while fill_a.try_send(1) {}
            while fill_b.try_send(1) {}
            let watch = Stopwatch::start();
            for _ in 0..BATCH {
                let v = tokio::select! { v = a.recv() => v, v = b.recv() => v };
                black_box(v);
            }
            total += watch.ns();
            done += BATCH;
        }
        total / done as f64
    }))
}

fn feed(to: Vec<Tx>, n: usize) -> JoinHandle<()> {
    spawn(async move {
        for i in 0..n {
            to[i % to.len()].send(i as i64).await;
        }
    })
}

fn select_fed_2<const CAPACITY: usize>(n: usize) -> Outcome {
    let (to, mut from) = make_several(2, CAPACITY)?;
    Ok(block_on(async move {
        let (mut b, mut a) = (from.pop().unwrap(), from.pop().unwrap());
        let watch = Stopwatch::start();
        let feeder = feed(to, n);
        for _ in 0..n {
            // The feeder's ends go with it: an arm whose channel is closed gives nothing, and is left aside.
            let v = tokio::select! { Some(v) = a.recv() => v, Some(v) = b.recv() => v, else => break };
            black_box(v);
        }
        let figure = watch.ns_per(n);
        feeder.await.unwrap();
        figure
    }))
}

fn select_fed_8(n: usize) -> Outcome {
    let (to, from) = make_several(8, 64)?;
    Ok(block_on(async move {
        let mut from = from.into_iter();
        let mut next = || from.next().unwrap();
        let (mut a, mut b, mut c, mut d) = (next(), next(), next(), next());
        let (mut e, mut f, mut g, mut h) = (next(), next(), next(), next());
        let watch = Stopwatch::start();
        let feeder = feed(to, n);
        for _ in 0..n {
            let v = tokio::select! {
                Some(v) = a.recv() => v,
                Some(v) = b.recv() => v,
                Some(v) = c.recv() => v,
                Some(v) = d.recv() => v,
                Some(v) = e.recv() => v,
                Some(v) = f.recv() => v,
                Some(v) = g.recv() => v,
                Some(v) = h.recv() => v,
                else => break
            };
            black_box(v);
        }
        let figure = watch.ns_per(n);
        feeder.await.unwrap();
        figure
    }))
}

fn select_otherwise(n: usize) -> Outcome {
    let (_tx, mut rx) = make(1)?;
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        for _ in 0..n {
            black_box(rx.try_recv());
        }
        watch.ns_per(n)
    }))
}

fn select_timeout<const CAPACITY: usize>(n: usize) -> Outcome {
    let (to, mut from) = make_several(1, CAPACITY)?;
    Ok(block_on(async move {
        let mut rx = from.pop().unwrap();
        let watch = Stopwatch::start();
        let feeder = feed(to, n);
        for _ in 0..n {
            let v = tokio::select! {
                v = rx.recv() => v,
                _ = tokio::time::sleep(Duration::from_secs(3600)) => None
            };
            black_box(v);
        }
        let figure = watch.ns_per(n);
        feeder.await.unwrap();
        figure
    }))
}

fn pool<const WORK: bool>(n: usize) -> Outcome {
    if !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let (jobs, todo) = make(64)?;
    let (done, mut results) = make(64)?;
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        for _ in 0..4 {
            let (mut todo, done) = (todo.another(), done.clone());
            spawn(async move {
                while let Some(job) = todo.recv().await {
                    let result = if WORK { a_microsecond(job) } else { twice(job) };
                    done.send(result).await;
                }
            });
        }
        drop((todo, done));
        spawn(async move {
            for i in 0..n {
                jobs.send(i as i64).await;
            }
        });
        let mut sum = 0;
        while let Some(v) = results.recv().await {
            sum ^= v;
        }
        black_box(sum);
        watch.ns_per(n)
    }))
}

/// For what need not be a rendezvous.
const SMALLEST: usize = if RENDEZVOUS { 0 } else { 1 };

fn sieve(n: usize) -> Outcome {
    let (first, mut rx) = make(SMALLEST)?;
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        spawn(async move {
            let mut i = 2;
            while first.send(i).await {
                i += 1;
            }
        });
        for _ in 0..n {
            let prime = rx.recv().await.unwrap();
            let (tx, out) = channel(SMALLEST);
            let mut from = std::mem::replace(&mut rx, out);
            spawn(async move {
                while let Some(v) = from.recv().await {
                    if v % prime != 0 && !tx.send(v).await {
                        break;
                    }
                }
            });
        }
        watch.ns() / 1e6
    }))
}

fn node(first: i64, leaves: i64, to: Tx) {
    spawn(async move {
        let mut sum = first;
        if leaves > 1 {
            let (tx, mut rx) = channel(SMALLEST);
            for i in 0..10 {
                node(first + i * leaves / 10, leaves / 10, tx.clone());
            }
            sum = 0;
            for _ in 0..10 {
                sum += rx.recv().await.unwrap();
            }
        }
        to.send(sum).await;
    });
}

fn skynet(n: usize) -> Outcome {
    let mut leaves = 1;
    while leaves * 10 <= n {
        leaves *= 10;
    }
    Ok(block_on(async move {
        let (tx, mut rx) = channel(SMALLEST);
        let watch = Stopwatch::start();
        node(0, leaves as i64, tx);
        black_box(rx.recv().await);
        watch.ns_per(leaves)
    }))
}

fn chan_sync(n: usize) -> Outcome {
    if !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let (tx, rx) = make(0)?;
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        let mut sides = Vec::new();
        for side in 0..2 {
            let (tx, mut rx) = (tx.clone(), rx.another());
            sides.push(spawn(async move {
                for i in 0..n {
                    if i % 2 == side {
                        tx.send(i as i64).await;
                    } else {
                        black_box(rx.recv().await);
                    }
                }
            }));
        }
        join(sides).await;
        watch.ns_per(n)
    }))
}

fn prod_cons<const CAPACITY: usize, const STEPS: usize>(n: usize) -> Outcome {
    if threads() > 1 && !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let (tx, rx) = make(CAPACITY)?;
    Ok(block_on(async move {
        let messages = Arc::new(Supply::new(n));
        let watch = Stopwatch::start();
        let mut tasks = Vec::new();
        let mut receivers: Vec<Rx> = (1..threads()).map(|_| rx.another()).collect();
        receivers.push(rx);
        for mut rx in receivers {
            let (tx, messages) = (tx.clone(), messages.clone());
            tasks.push(spawn(async move {
                let mut x = 1;
                while messages.take() {
                    for _ in 0..Supply::BATCH {
                        x = work(x, STEPS);
                        tx.send(1).await;
                    }
                }
                black_box(x);
                tx.send(0).await; // ends one consumer
            }));
            tasks.push(spawn(async move {
                let mut x = 1;
                while rx.recv().await != Some(0) {
                    x = work(x, STEPS);
                }
                black_box(x);
            }));
        }
        join(tasks).await;
        watch.ns_per(messages.messages())
    }))
}

fn select_prod_cons(n: usize) -> Outcome {
    if threads() > 1 && !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let (tx, rx) = make(128)?;
    Ok(block_on(async move {
        let messages = Arc::new(Supply::new(n));
        let watch = Stopwatch::start();
        let mut tasks = Vec::new();
        let mut receivers: Vec<Rx> = (1..threads()).map(|_| rx.another()).collect();
        receivers.push(rx);
        for mut rx in receivers {
            let (tx, messages) = (tx.clone(), messages.clone());
            tasks.push(spawn(async move {
                // On these nothing comes. Each task has its own, as not every receiver can be shared.
                let (_idle1, mut timer) = channel(1);
                let (_idle2, mut closing) = channel(1);
                let mut x = 1;
                while messages.take() {
                    for _ in 0..Supply::BATCH {
                        x = work(x, 100);
                        tokio::select! {
                            _ = tx.send(1) => (),
                            _ = timer.recv() => return,
                            _ = closing.recv() => return
                        }
                    }
                }
                black_box(x);
                tx.send(0).await;
            }));
            tasks.push(spawn(async move {
                let (_idle1, mut timer) = channel(1);
                let (_idle2, mut closing) = channel(1);
                let mut x = 1;
                loop {
                    tokio::select! {
                        v = rx.recv() => if v == Some(0) { break },
                        _ = timer.recv() => break,
                        _ = closing.recv() => break
                    }
                    x = work(x, 100);
                }
                black_box(x);
            }));
        }
        join(tasks).await;
        watch.ns_per(messages.messages())
    }))
}

const BURST: usize = 100;

async fn bursts(tx: Tx, mut rx: Rx, rounds: usize) {
    for _ in 0..rounds {
        for j in 0..BURST {
            tx.send(j as i64).await;
        }
        for _ in 0..BURST {
            black_box(rx.recv().await);
        }
    }
}

/// Runs a task for each thread, each with its ends of one channel or of its own, and gives the time.
fn on_each_thread<F, T>(shared: bool, capacity: usize, task: F) -> Outcome
where
    F: Fn(Tx, Rx) -> T + Send + 'static,
    T: std::future::Future<Output = ()> + Send + 'static,
{
    if shared && threads() > 1 && !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        let mut tasks = Vec::new();
        let (tx, rx) = channel(capacity);
        for _ in 1..threads() {
            let (tx, rx) = if shared { (tx.clone(), rx.another()) } else { channel(capacity) };
            tasks.push(spawn(task(tx, rx)));
        }
        tasks.push(spawn(task(tx, rx)));
        join(tasks).await;
        watch.ns()
    }))
}

fn chan_uncontended(n: usize) -> Outcome {
    let rounds = (n / BURST / threads()).max(1);
    let ns = on_each_thread(false, BURST, move |tx, rx| bursts(tx, rx, rounds))?;
    Ok(ns / (rounds * BURST * threads()) as f64)
}

fn chan_contended(n: usize) -> Outcome {
    let rounds = (n / BURST / threads()).max(1);
    let ns = on_each_thread(true, BURST * threads(), move |tx, rx| bursts(tx, rx, rounds))?;
    Ok(ns / (rounds * BURST * threads()) as f64)
}

fn chan_sem(n: usize) -> Outcome {
    let share = each(n);
    let ns = on_each_thread(true, threads(), move |tx, mut rx| async move {
        for _ in 0..share {
            tx.send(0).await;
            black_box(rx.recv().await);
        }
    })?;
    Ok(ns / (share * threads()) as f64)
}

async fn pass_round(tx_a: Tx, mut a: Rx, tx_b: Tx, mut b: Rx, n: usize) {
    tx_a.send(0).await;
    for _ in 0..n {
        let to = tokio::select! { _ = a.recv() => &tx_b, _ = b.recv() => &tx_a };
        to.send(0).await;
    }
}

fn select_uncontended(n: usize) -> Outcome {
    let share = each(n);
    let ns = on_each_thread(false, 1, move |tx_a, a| {
        let (tx_b, b) = channel(1);
        pass_round(tx_a, a, tx_b, b, share)
    })?;
    Ok(ns / (share * threads()) as f64)
}

fn select_async_contended(n: usize) -> Outcome {
    if threads() > 1 && !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let share = each(n);
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        let (tx_a, a) = channel(threads());
        let (tx_b, b) = channel(threads());
        let mut tasks = Vec::new();
        for _ in 1..threads() {
            tasks.push(spawn(pass_round(tx_a.clone(), a.another(), tx_b.clone(), b.another(), share)));
        }
        tasks.push(spawn(pass_round(tx_a, a, tx_b, b, share)));
        join(tasks).await;
        watch.ns_per(share * threads())
    }))
}

fn select_sync_contended(n: usize) -> Outcome {
    if threads() > 1 && !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let (to, from) = make_several(3, 0)?;
    let share = each(n);
    Ok(block_on(async move {
        // The senders end when the last receiver has gone.
        for _ in 0..threads() {
            let to = to.clone();
            spawn(async move {
                loop {
                    let sent = tokio::select! {
                        sent = to[0].send(0) => sent,
                        sent = to[1].send(0) => sent,
                        sent = to[2].send(0) => sent
                    };
                    if !sent {
                        break;
                    }
                }
            });
        }
        let mut sets: Vec<Vec<Rx>> = (1..threads()).map(|_| from.iter().map(Rx::another).collect()).collect();
        sets.push(from);
        let watch = Stopwatch::start();
        let mut receivers = Vec::new();
        for mut set in sets {
            let (mut c, mut b, mut a) = (set.pop().unwrap(), set.pop().unwrap(), set.pop().unwrap());
            receivers.push(spawn(async move {
                for _ in 0..share {
                    let v = tokio::select! { v = a.recv() => v, v = b.recv() => v, v = c.recv() => v };
                    black_box(v);
                }
            }));
        }
        join(receivers).await;
        watch.ns_per(share * threads())
    }))
}

fn select_nonblock(n: usize) -> Outcome {
    let (_tx_a, mut a) = make(0)?;
    let (tx_b, _b) = make(0)?;
    let (_tx_c, mut c) = make(1)?;
    let (tx_d, _d) = make(1)?;
    let rounds = (n / 4).max(1);
    Ok(block_on(async move {
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            black_box(a.try_recv());
            black_box(tx_b.try_send(0));
            black_box(c.try_recv());
            black_box(tx_d.try_send(0));
        }
        watch.ns_per(rounds * 4)
    }))
}

fn chan_popular(n: usize) -> Outcome {
    if !SEVERAL_RECEIVERS {
        return Err(ONE_RECEIVER);
    }
    let tasks = n.min(1000);
    let (own, receivers) = make_several(tasks, 0)?;
    let (idle, shared) = make(0)?;
    let rounds = (n / tasks).max(1);
    Ok(block_on(async move {
        let mut waiting = Vec::new();
        for mut rx in receivers {
            let mut shared = shared.another();
            waiting.push(spawn(async move {
                for _ in 0..rounds {
                    let v = tokio::select! { v = shared.recv() => v, v = rx.recv() => v };
                    black_box(v);
                }
            }));
        }
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            for tx in &own {
                tx.send(1).await;
            }
        }
        join(waiting).await;
        drop(idle);
        watch.ns_per(rounds * tasks)
    }))
}

fn ping_pong_hog(_: usize) -> Outcome {
    Err("a task that does not await holds its thread")
}

include!("list.rs");
