use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a sequence of chance is drawn for. Each purpose of each visit has a sequence of its own, so that one
/// visit which is changed leaves all others as they were.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Catalogue,
    Person,
    Choice,
    Plan,
    Acts,
    Noise,
    Schedule,
}

/// Whole numbers from a seed. No fractions: those may be rounded differently elsewhere.
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    pub(crate) fn of(seed: u64, purpose: Purpose, number: u64) -> Self {
        let mut origin = [0; 9];
        origin[..8].copy_from_slice(&number.to_le_bytes());
        origin[8] = purpose as u8;
        Self(fastrand::Rng::with_seed(xxh3_64_with_seed(&origin, seed)))
    }

    /// A number below `limit`; 0 if there is none.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(0..limit.max(1))
    }

    /// A number from `least` to `most`, both included; `least` if there is none.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0.i64(least..=most.max(least))
    }

    /// True in `permille` of a thousand cases.
    pub(crate) fn permille(&mut self, permille: u32) -> bool {
        self.below(1_000) < u64::from(permille)
    }

    /// One of `choices`, each as likely as its weight says; the first if all weigh nothing.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(T, u32)], none: T) -> T {
        let mut left = self.below(choices.iter().map(|(_, weight)| u64::from(*weight)).sum());
        for (choice, weight) in choices {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return *choice,
            }
        }
        none
    }
}

/// Zipf's law: the second is chosen half as often as the first, the third a third as often.
pub(crate) struct Zipf {
    sums: Vec<u64>,
}

impl Zipf {
    const FIRST: u64 = 1 << 32;

    pub(crate) fn new(count: u32) -> Self {
        let mut sum = 0;
        let weights = (1..=u64::from(count.max(1))).map(|rank| Self::FIRST / rank);
        Self {
            sums: weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        }
    }

    /// A number below the count.
    pub(crate) fn draw(&self, chance: &mut Chance) -> u32 {
        let point = chance.below(self.sums.last().copied().unwrap_or(1));
        u32::try_from(self.sums.partition_point(|sum| *sum <= point)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_twice_as_often_as_the_second() {
        let (zipf, mut chance) = (Zipf::new(100), Chance::of(1, Purpose::Plan, 0));
        let mut drawn = [0u32; 100];
        (0..100_000).for_each(|_| drawn[zipf.draw(&mut chance) as usize] += 1);
        assert!((19..=21).contains(&(drawn[0] * 10 / drawn[1])), "{} and {}", drawn[0], drawn[1]);
        assert!(drawn.iter().all(|count| *count > 0));
    }

    #[test]
    fn a_choice_without_weight_is_never_made() {
        let mut chance = Chance::of(1, Purpose::Plan, 0);
        assert!((0..1_000).all(|_| chance.weighted(&[('a', 0), ('b', 1), ('c', 0)], 'a') == 'b'));
        assert_eq!(chance.weighted(&[('b', 0)], 'a'), 'a');
    }
}
