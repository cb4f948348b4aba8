//! Medians, percentiles and tables of times.

use std::time::Duration;

/// What was measured of one way.
pub(crate) struct Row<'t> {
    pub(crate) name: String,
    pub(crate) took: &'t [Duration],
}

/// Prints a table; the last column relates medians to the first row's.
pub(crate) fn table(rows: &[Row<'_>]) {
    let first = rows.first().map_or(f64::NAN, |row| micros(median(row.took)));
    println!("| | p10 | p50 | p99 | p50 of the first |");
    println!("|---|---|---|---|---|");
    for Row { name, took } in rows {
        let p50 = micros(median(took));
        let [p10, p99] = [10, 99].map(|percent| micros(percentile(took, percent)));
        println!("| {name} | {p10:.1} | {p50:.1} | {p99:.1} | {:.3} |", p50 / first);
    }
}

pub(crate) fn median(times: &[Duration]) -> Duration {
    percentile(times, 50)
}

pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
