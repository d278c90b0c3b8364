use events::MINUTE;

/// What a tenant can set about how profiles are kept. Durations are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Silence after which a cart counts as abandoned.
    pub idle: i64,
    /// Silence after which the next event starts a new session.
    pub session_gap: i64,
    /// How often the same cart content is noticed.
    pub notice: Notice,
}

/// How often an abandoned cart of the same content is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Once for each content of a cart.
    OncePerContent,
    /// After every idle period.
    EveryIdlePeriod,
}

impl Default for Rules {
    fn default() -> Self {
        Self { idle: 30 * MINUTE, session_gap: 30 * MINUTE, notice: Notice::OncePerContent }
    }
}
