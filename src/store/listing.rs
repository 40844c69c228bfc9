//! Lists that have a limit, of rows among which some may be no event.

use std::future::Future;

/// The first things that rows say, up to a limit. `look` reads so many rows from the
/// first on, and answers how many it found and what they say: a row that says nothing
/// takes no place of one that does.
pub(crate) async fn first<T, E, F>(
    limit: usize,
    mut look: impl FnMut(usize) -> F,
) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<(usize, Vec<T>), E>>,
{
    let mut rows = limit;
    loop {
        let (found, mut said) = look(rows).await?;
        if found < rows || said.len() >= limit {
            said.truncate(limit);
            return Ok(said);
        }
        rows = rows.saturating_mul(2);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Protects the limit of a list, and each row that is to be in it, from rows that say
    /// nothing, wherever they stand.
    #[test]
    fn a_row_that_says_nothing_takes_no_place() {
        const ROWS: u32 = 9;
        for silent in 0..1_u32 << ROWS {
            let says = |row: &u32| silent & (1 << row) == 0;
            let all: Vec<u32> = (0..ROWS).filter(says).collect();
            for limit in (0..=10).chain([usize::MAX]) {
                let look = |rows: usize| {
                    let found: Vec<u32> = (0..ROWS).take(rows).collect();
                    let said = found.iter().copied().filter(says).collect();
                    ready(Ok::<_, Infallible>((found.len(), said)))
                };
                let mut list = Box::pin(first(limit, look));
                let listed = list.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                let expected: Vec<u32> = all.iter().copied().take(limit).collect();
                assert_eq!(listed, Poll::Ready(Ok(expected)), "{silent:b}, {limit}");
            }
        }
    }
}
