//! The batch sizes that a backend gains from: fixed shapes let it use what it prepared for them.

/// Rows, in ascending order; none: any number will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buckets(Vec<usize>);

impl Buckets {
    pub fn new(mut sizes: Vec<usize>) -> Self {
        sizes.sort_unstable();
        sizes.dedup();
        Self(sizes)
    }

    /// The rows with which a batch of `rows` runs: the next size up.
    pub fn fit(&self, rows: usize) -> usize {
        let next = self.0.partition_point(|&size| size < rows);
        self.0.get(next).copied().unwrap_or(rows)
    }

    pub fn sizes(&self) -> &[usize] {
        &self.0
    }
}

/// 1, 2, 4, ... and the largest itself.
pub fn powers_of_two(largest: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1usize), |size| size.checked_mul(2));
    powers.take_while(|&size| size < largest).chain([largest]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_runs_in_the_next_size_up() {
        let buckets = Buckets::new(vec![8, 1, 4]);
        assert_eq!([1, 2, 4, 5, 8].map(|rows| buckets.fit(rows)), [1, 4, 4, 8, 8]);
        assert_eq!(buckets.fit(9), 9);
        assert_eq!(Buckets::default().fit(3), 3);
    }

    #[test]
    fn powers_of_two_end_with_the_largest() {
        assert_eq!(powers_of_two(8), [1, 2, 4, 8]);
        assert_eq!(powers_of_two(6), [1, 2, 4, 6]);
        assert_eq!(powers_of_two(1), [1]);
    }
}
