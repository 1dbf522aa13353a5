//! What both labs do with the standard library alone: a path, and a text that says what came of it.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The text for a path, if it is one of these.
pub fn text(path: &str, argument: &str) -> Option<String> {
    Some(match path {
        "/count" => (COUNT.fetch_add(1, Ordering::Relaxed) + 1).to_string(),
        "/env" => lines(std::env::vars().map(|(name, value)| format!("{name}={value}"))),
        "/args" => lines(std::env::args()),
        "/print" => print(),
        "/stdin" => stdin(),
        "/random" => RandomState::new().hash_one(0).to_string(),
        "/clock" => clock(),
        "/read" => told(std::fs::read_to_string(argument)),
        "/write" => told(std::fs::write(argument, "written").map(|()| "done".to_owned())),
        "/list" => list(argument),
        "/connect" => told(std::net::TcpStream::connect(argument).map(|_| "done".to_owned())),
        "/lookup" => told(
            std::net::ToSocketAddrs::to_socket_addrs(&(argument, 80)).map(|_| "done".to_owned()),
        ),
        "/memory" => memory(),
        "/recurse" => recurse(1).to_string(),
        _ => return None,
    })
}

fn lines(of: impl Iterator<Item = String>) -> String {
    of.map(|line| line + "\n").collect()
}

fn told<E: std::fmt::Display>(result: Result<String, E>) -> String {
    result.unwrap_or_else(|error| format!("error: {error}"))
}

fn print() -> String {
    println!("first\nsecond");
    eprintln!("to standard error");
    print!("without an end");
    std::io::stdout().flush().expect("it is there");
    "done".to_owned()
}

fn stdin() -> String {
    let mut text = String::new();
    told(
        std::io::stdin()
            .read_to_string(&mut text)
            .map(|read| read.to_string()),
    )
}

fn clock() -> String {
    let since = std::time::Instant::now();
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let now = std::time::SystemTime::now()
        .duration_since(epoch)
        .expect("after 1970");
    format!("{} {}", now.as_secs(), since.elapsed().as_secs())
}

fn list(path: &str) -> String {
    let names = std::fs::read_dir(path).map(|entries| {
        let names = entries.map(|entry| match entry {
            Ok(entry) => entry.file_name().to_string_lossy().into_owned(),
            Err(error) => format!("error: {error}"),
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.join("\n")
    });
    told(names)
}

/// Takes memory until there is none.
fn memory() -> String {
    let mut pieces = Vec::new();
    loop {
        let mut piece = Vec::<u8>::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            return format!("{} MiB", pieces.len());
        }
        piece.push(1);
        pieces.push(piece);
    }
}

#[allow(unconditional_recursion, reason = "that is what is tried")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth) + 1)) + 1
}

/// Computes for ever.
/// Takes some 20 ms of the processor.
pub fn compute() {
    let since = std::time::Instant::now();
    while since.elapsed() < std::time::Duration::from_millis(20) {
        std::hint::black_box(since);
    }
}

pub fn spin() -> ! {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}
