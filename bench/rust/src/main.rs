//! The cases of ours (bench/cases/) with Rust's channels, under the same names and of the same sizes: tokio's own,
//! flume's and async-channel's on tokio's runtime, crossbeam's between threads.
//!
//! Prints a line for each case: its name, a tab, and nanoseconds per operation, or what the name says; where a
//! backend cannot express it, a dash, a tab, and why.

mod backends;
mod common;
mod crossbeam;
mod tasks;

use common::{set_how, Case, Clock};
use std::process::exit;

const USAGE: &str = "usage: levada-rivals -backend tokio|flume|async-channel|crossbeam [-only SUBSTRING | -case NAME]
                     [-scale X] [-threads N] [-clock wall|cpu]";

fn refuse(what: &str) -> ! {
    eprintln!("levada-rivals: {what}\n{USAGE}");
    exit(2)
}

fn cases(backend: &str) -> Vec<Case> {
    let (mut all, without_tasks) = match backend {
        "tokio" => (backends::tokio_mpsc::cases::cases(), None),
        "flume" => (backends::flume_mpmc::cases::cases(), Some("its tasks are tokio's")),
        "async-channel" => (backends::async_mpmc::cases::cases(), Some("its tasks are tokio's")),
        "crossbeam" => (crossbeam::cases(), Some(crossbeam::NO_TASKS)),
        _ => refuse(&format!("unknown backend {backend}")),
    };
    for case in tasks::cases() {
        all.push(Case { left_out: without_tasks, ..case });
    }
    all
}

fn main() {
    let (mut backend, mut only, mut name) = (String::new(), String::new(), String::new());
    let (mut scale, mut threads, mut clock) = (1.0f64, 1usize, Clock::Wall);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        if option == "-help" || option == "--help" {
            println!("{USAGE}");
            return;
        }
        let value = args.next().unwrap_or_else(|| refuse(&format!("{option} needs a value")));
        match option.as_str() {
            "-backend" => backend = value,
            "-only" => only = value,
            "-case" => name = value,
            "-scale" => scale = value.parse().unwrap_or(0.0),
            "-threads" => threads = value.parse().unwrap_or(0),
            "-clock" if value == "wall" => clock = Clock::Wall,
            "-clock" if value == "cpu" => clock = Clock::Processor,
            _ => refuse(&format!("unknown option {option} {value}")),
        }
    }
    if !(scale > 0.0) || threads < 1 {
        refuse("-scale and -threads need numbers above 0");
    }
    set_how(threads, clock);
    for case in cases(&backend) {
        if case.name == name || (name.is_empty() && case.name.contains(&only)) {
            let n = ((case.size as f64 * scale) as usize).max(10);
            match case.left_out.map_or_else(|| (case.run)(n), Err) {
                Ok(figure) => println!("{}\t{figure:.2}", case.name),
                Err(why) => println!("{}\t-\t{why}", case.name),
            }
        }
    }
}
