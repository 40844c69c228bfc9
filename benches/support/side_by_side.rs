//! Two ways to do the same work, measured in turn.

use std::time::{Duration, Instant};

use super::Outcome;

/// How many there are a second beside what is bare, where each side says how long it takes
/// for as many as the other.
///
/// It is the median over pairs that are done one after the other: a machine that has
/// other work too disturbs single ones.
pub(crate) async fn ratio(
    pairs: usize,
    mut ours: impl AsyncFnMut() -> Outcome<Duration>,
    mut bare: impl AsyncFnMut() -> Outcome<Duration>,
) -> Outcome<f64> {
    let mut ratios = Vec::with_capacity(pairs);
    for pair in 0..=pairs {
        let (ours, bare) = if pair % 2 == 0 {
            let ours = ours().await?;
            (ours, bare().await?)
        } else {
            let bare = bare().await?;
            (ours().await?, bare)
        };
        if pair > 0 {
            ratios.push(bare.as_secs_f64() / ours.as_secs_f64());
        }
    }
    Ok(median(ratios))
}

pub(crate) fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// The time of some work.
pub(crate) async fn timed(work: impl Future<Output = Outcome>) -> Outcome<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}
