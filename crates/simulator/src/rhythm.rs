use events::HOUR;

use crate::Options;

/// How busy each hour of a day is, from midnight UTC on.
const BUSY: [i128; 24] =
    [6, 4, 3, 2, 2, 3, 6, 12, 18, 22, 24, 26, 28, 26, 24, 24, 26, 30, 36, 42, 44, 38, 24, 12];

const HOUR_MILLIS: i128 = HOUR as i128;

/// When a visit begins, so that nights are quiet and evenings busy.
pub(crate) struct Rhythm {
    start: i64,
    days: i128,
    lines: i128,
}

impl Rhythm {
    pub(crate) fn new(options: &Options) -> Self {
        let lines = i128::from(options.lines.max(1));
        Self { start: options.start.0, days: i128::from(options.days.max(1)), lines }
    }

    /// When `planned` of all lines are behind us. It never goes back.
    pub(crate) fn at(&self, planned: u64) -> i64 {
        let of_a_day: i128 = BUSY.iter().sum();
        let load = of_a_day * HOUR_MILLIS;
        let through = i128::from(planned) * self.days * load / self.lines;
        let mut left = through % load;
        let mut time = through / load * 24 * HOUR_MILLIS;
        for busy in BUSY {
            if left < busy * HOUR_MILLIS {
                time += left / busy;
                break;
            }
            left -= busy * HOUR_MILLIS;
            time += HOUR_MILLIS;
        }
        self.start.saturating_add(i64::try_from(time).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenings_are_busier_than_nights_and_time_never_goes_back() {
        let options = Options { days: 2, ..Options::new(1, 100_000) };
        let rhythm = Rhythm::new(&options);
        let times: Vec<i64> = (0..=100_000).map(|planned| rhythm.at(planned)).collect();
        assert!(times.is_sorted());
        assert_eq!((times[0], times[100_000]), (options.start.0, options.end().0));
        let in_hour = |hour: i64| times.iter().filter(|time| (*time - times[0]) / HOUR % 24 == hour).count();
        assert!(in_hour(20) > 10 * in_hour(3), "{} and {}", in_hour(20), in_hour(3));
    }
}
