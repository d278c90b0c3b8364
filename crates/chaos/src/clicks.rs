//! A made-up clickstream whose rows are cheap to make and to take in: those of the Alibaba data set. Each row has
//! an id of its own, its line, so that no honest run writes an output twice.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use fastrand::Rng;

/// When it begins, in seconds since 1970.
const BEGINNING: u64 = 1_511_658_000;
/// People who are in the shop at a time.
const PRESENT: u64 = 300;
/// Of each person so many rows, on average.
const ROWS_EACH: u64 = 40;
/// Rows of one visit, on average.
const ROWS_OF_A_VISIT: u64 = 12;
/// Rows of one second.
const ROWS_A_SECOND: u64 = 10;
const PRODUCTS: u64 = 20_000;

/// Writes so many rows, in time order. People come, look around, fill carts, and come back hours later or never.
pub(crate) fn write(path: &Path, seed: u64, rows: u64) {
    let mut chance = Rng::with_seed(seed);
    let people = (rows / ROWS_EACH).max(PRESENT * 2);
    let mut present: Vec<u64> = (0..PRESENT).map(|_| chance.u64(..people)).collect();
    let mut file = BufWriter::new(File::create(path).unwrap());
    for row in 0..rows {
        let place = chance.usize(..present.len());
        if chance.u64(..ROWS_OF_A_VISIT) == 0 {
            present[place] = chance.u64(..people);
        }
        // Most look at what most look at.
        let product = chance.u64(..PRODUCTS).min(chance.u64(..PRODUCTS));
        let second = BEGINNING + row / ROWS_A_SECOND;
        let deed = match chance.u8(..100) {
            0..85 => "pv",
            85..91 => "cart",
            91..96 => "fav",
            _ => "buy",
        };
        writeln!(file, "{},{product},{},{deed},{second}", present[place], product % 97).unwrap();
    }
    file.flush().unwrap();
}
