use std::fmt;

/// What a value on a topic is, named as its folder in `schemas/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A canonical event; Avro.
    ClickstreamEvent,
    /// What we know of a customer; Avro.
    ProfileUpdate,
    /// How far a source has got; Avro.
    Heartbeat,
    /// A refused record with the reason; outward.
    DeadLetter,
    /// What a visit was interested in; Avro.
    SessionEvent,
    /// Products to show; outward.
    Recommendation,
    /// A reminder of a cart, or its taking back; outward.
    AbandonedCart,
    /// A silence, explained; outward.
    Suppression,
    /// Whether one kind of speech is on for a tenant; JSON.
    Control,
}

impl Subject {
    /// Every subject.
    pub const ALL: &'static [Self] = &[
        Self::ClickstreamEvent,
        Self::ProfileUpdate,
        Self::Heartbeat,
        Self::DeadLetter,
        Self::SessionEvent,
        Self::Recommendation,
        Self::AbandonedCart,
        Self::Suppression,
        Self::Control,
    ];

    /// Whether it travels in an [`Outward`](crate::Outward) form, and not as Avro behind a version byte.
    #[must_use]
    pub fn is_outward(self) -> bool {
        matches!(
            self,
            Self::DeadLetter | Self::Recommendation | Self::AbandonedCart | Self::Suppression | Self::Control
        )
    }

    /// The name of its folder in `schemas/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClickstreamEvent => "clickstream-event",
            Self::ProfileUpdate => "profile-update",
            Self::Heartbeat => "heartbeat",
            Self::DeadLetter => "dead-letter",
            Self::SessionEvent => "session-event",
            Self::Recommendation => "recommendation",
            Self::AbandonedCart => "abandoned-cart",
            Self::Suppression => "suppression",
            Self::Control => "control",
        }
    }

    /// Its Avro schema as text. That of an outward subject also describes the object in JSON.
    #[must_use]
    pub fn schema_text(self) -> &'static str {
        match self {
            Self::ClickstreamEvent => include_str!("../../../schemas/clickstream-event/v1.avsc"),
            Self::ProfileUpdate => include_str!("../../../schemas/profile-update/v1.avsc"),
            Self::Heartbeat => include_str!("../../../schemas/heartbeat/v1.avsc"),
            Self::DeadLetter => include_str!("../../../schemas/dead-letter/v1.avsc"),
            Self::SessionEvent => include_str!("../../../schemas/session-event/v1.avsc"),
            Self::Recommendation => include_str!("../../../schemas/recommendation/v1.avsc"),
            Self::AbandonedCart => include_str!("../../../schemas/abandoned-cart/v1.avsc"),
            Self::Suppression => include_str!("../../../schemas/suppression/v1.avsc"),
            Self::Control => include_str!("../../../schemas/control/v1.avsc"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
