use events::{DAY, EventTime};

/// What shop is made up, and how long it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Chance begins here: the same seed gives the same bytes.
    pub seed: u64,
    /// How many lines there are, noise included: exactly as many.
    pub lines: u64,
    /// The shop's name, the tenant of every profile.
    pub tenant: String,
    /// The people who come back, at least one. Others come once.
    pub people: u32,
    /// The products of the catalogue, at least a hundred.
    pub products: u32,
    /// When the first day begins.
    pub start: EventTime,
    /// How many days of event time the lines span.
    pub days: u32,
    /// How much older than the newest event an event may arrive, in milliseconds: what ingest calls lateness.
    pub lateness: i64,
    /// What trackers do to events on their way.
    pub noise: Noise,
    /// Whether one person and one product have far more than their share.
    pub skew: bool,
    /// Whether customers begin visits on a second device and sign in later.
    pub two_devices: bool,
    /// Whether orders arrive up to half an hour after they were placed.
    pub late_orders: bool,
    /// Whether machines visit the shop too.
    pub bots: bool,
    /// From this visit on, the first one that is planned to leave its cart buys it instead, behind the
    /// truth's back. A test takes it to show that the truth would complain.
    pub moved: Option<u64>,
}

/// How many of a thousand events suffer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// Sent a second time.
    pub duplicates: u32,
    /// Arriving minutes after they happened, but within the lateness.
    pub delayed: u32,
    /// Followed by a line that is not to be understood.
    pub malformed: u32,
}

impl Noise {
    /// None at all.
    pub const NONE: Self = Self { duplicates: 0, delayed: 0, malformed: 0 };
}

impl Default for Noise {
    fn default() -> Self {
        Self { duplicates: 10, delayed: 50, malformed: 3 }
    }
}

/// 2025-09-01T00:00:00Z, a Monday.
const START: EventTime = EventTime(1_756_684_800_000);

/// A day has about so many lines, so that what is on its way at a time does not grow with the number of lines.
const LINES_A_DAY: u64 = 100_000;

impl Options {
    /// The usual shop for that many lines.
    #[must_use]
    pub fn new(seed: u64, lines: u64) -> Self {
        let within =
            |number: u64, least: u32, most: u32| u32::try_from(number).unwrap_or(most).clamp(least, most);
        Self {
            seed,
            lines,
            tenant: "shop".to_owned(),
            people: within(lines / 60, 20, 100_000),
            products: within(lines / 100, 200, 20_000),
            start: START,
            days: within(lines / LINES_A_DAY + 1, 1, 300),
            lateness: 10 * events::MINUTE,
            noise: Noise::default(),
            skew: true,
            two_devices: false,
            late_orders: false,
            bots: false,
            moved: None,
        }
    }

    /// When the last day ends; the last visits may reach over it.
    #[must_use]
    pub fn end(&self) -> EventTime {
        self.start.plus(i64::from(self.days) * DAY)
    }
}
