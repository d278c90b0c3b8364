/// Whether one kind of speech is on for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechControl {
    /// The shop.
    pub tenant: String,
    /// What it is about.
    pub kind: SpeechKind,
    /// Whether it may be spoken.
    pub speaking: bool,
}

/// What can be switched off by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpeechKind {
    /// Products to show.
    Recommendations,
    /// Reminders of carts.
    AbandonedCarts,
}

impl SpeechControl {
    /// The key of its record, `tenant|kind`: the newest record of a key holds, none means on.
    #[must_use]
    pub fn key(tenant: &str, kind: SpeechKind) -> String {
        format!("{tenant}|{}", kind.name())
    }
}

impl SpeechKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Recommendations, Self::AbandonedCarts];

    /// Its name, that of the topic it is spoken on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recommendations => "recommendations",
            Self::AbandonedCarts => "abandoned-carts",
        }
    }
}
