//! Inputs that are the same in every run, for CI: what libFuzzer makes by itself depends on coverage, and
//! that on addresses, on time and on the seeds of hash maps.

use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::{env, fs};

use libfuzzer_sys::fuzzer_mutate;

/// The directory of the corpus, where inputs are to be the same in every run.
const VARIABLE: &str = "FUZZ_FIXED";
/// No input is mutated more often than that.
const MAX_MUTATIONS: usize = 12;

struct Corpus {
    /// In the order of their names.
    inputs: Vec<Vec<u8>>,
    next: usize,
}

static CORPUS: LazyLock<Option<Mutex<Corpus>>> = LazyLock::new(|| {
    let directory = env::var_os(VARIABLE)?;
    let inputs = read(directory.as_ref()).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"));
    assert!(!inputs.is_empty(), "{VARIABLE}: no inputs");
    Some(Mutex::new(Corpus { inputs, next: 0 }))
});

fn read(directory: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}

/// libFuzzer's mutation of `data[..size]`, at most `max_size` bytes; in fixed runs that of the next input of the
/// corpus instead, first by one mutation, then by more of them. Returns the size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize) -> usize {
    let Some(corpus) = &*CORPUS else {
        return fuzzer_mutate(data, size, max_size);
    };
    let mut corpus = corpus.lock().expect("no panic before");
    let (round, index) = (
        corpus.next / corpus.inputs.len(),
        corpus.next % corpus.inputs.len(),
    );
    corpus.next += 1;
    let input = &corpus.inputs[index];
    let mut size = input.len().min(max_size);
    data[..size].copy_from_slice(&input[..size]);
    for _ in 0..=round % MAX_MUTATIONS {
        size = fuzzer_mutate(data, size, max_size);
    }
    size
}

/// For each target: [`mutate`] as libFuzzer's mutator.
#[macro_export]
macro_rules! mutator {
    () => {
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, _seed: u32| {
            $crate::fixed::mutate(data, size, max)
        });
    };
}
