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
    /// A refused record with the reason; JSON.
    DeadLetter,
}

impl Subject {
    /// Every subject.
    pub const ALL: &'static [Self] =
        &[Self::ClickstreamEvent, Self::ProfileUpdate, Self::Heartbeat, Self::DeadLetter];

    /// The name of its folder in `schemas/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClickstreamEvent => "clickstream-event",
            Self::ProfileUpdate => "profile-update",
            Self::Heartbeat => "heartbeat",
            Self::DeadLetter => "dead-letter",
        }
    }

    /// Its Avro schema as text. A dead letter's describes the JSON object.
    #[must_use]
    pub fn schema_text(self) -> &'static str {
        match self {
            Self::ClickstreamEvent => include_str!("../../../schemas/clickstream-event/v1.avsc"),
            Self::ProfileUpdate => include_str!("../../../schemas/profile-update/v1.avsc"),
            Self::Heartbeat => include_str!("../../../schemas/heartbeat/v1.avsc"),
            Self::DeadLetter => include_str!("../../../schemas/dead-letter/v1.avsc"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
