//! Give or take a share of a time, so that what was made together is not due together.

use rand::{Rng, RngExt};
use std::time::Duration;

pub fn around(time: Duration, share: f64, random: &mut impl Rng) -> Duration {
    let factor = 1.0 - share + 2.0 * share * random.random::<f64>();
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    #[test]
    fn it_stays_within_the_share_and_reaches_it() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let drawn = (0..1_000).map(|_| around(Duration::from_secs(100), 0.1, &mut random).as_secs_f64());
        let (least, most) = drawn.fold((f64::MAX, 0.0), |(least, most), it| (it.min(least), it.max(most)));
        assert!((90.0..91.0).contains(&least) && (109.0..110.0).contains(&most), "{least} to {most}");
    }

    #[test]
    fn for_ever_stays_very_long() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        assert!((0..100).all(|_| around(Duration::MAX, 0.1, &mut random) > Duration::MAX / 2));
    }
}
