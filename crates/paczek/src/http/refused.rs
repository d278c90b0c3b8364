//! Why a request gets no answer: one JSON object with a stable code and a sentence that repeats nothing.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use events::Placement;
use serde_json::json;

/// Why a request gets no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    BadId,
    UnknownPlacement,
    NotFound,
    NoSuchRoute,
    NoSuchMethod,
    /// Another process holds the key.
    HeldElsewhere {
        topic: String,
        partition: i32,
    },
    NotReady,
    Busy,
    Unreadable,
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadId | Self::UnknownPlacement => StatusCode::BAD_REQUEST,
            Self::NotFound | Self::NoSuchRoute => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeldElsewhere { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::NotReady | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable => StatusCode::BAD_GATEWAY,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadId => "BAD_ID",
            Self::UnknownPlacement => "UNKNOWN_PLACEMENT",
            Self::NotFound => "NOT_FOUND",
            Self::NoSuchRoute => "NO_SUCH_ROUTE",
            Self::NoSuchMethod => "NO_SUCH_METHOD",
            Self::HeldElsewhere { .. } => "HELD_ELSEWHERE",
            Self::NotReady => "NOT_READY",
            Self::Busy => "BUSY",
            Self::Unreadable => "UNREADABLE",
        }
    }

    fn detail(&self) -> String {
        let sentence = match self {
            Self::BadId => {
                "the id is empty, too long, not UTF-8 or holds a control character; a decision's is a UUID"
            }
            Self::UnknownPlacement => {
                let known: Vec<&str> = Placement::ALL.iter().map(|placement| placement.name()).collect();
                return format!("placement is one of {}", known.join(", "));
            }
            Self::NotFound => "nothing of that id is known",
            Self::NoSuchRoute => "there is no such route; GET /openapi.json lists them",
            Self::NoSuchMethod => "this route takes GET only",
            Self::HeldElsewhere { .. } => {
                "another process holds the partition that this key falls into; ask that one"
            }
            Self::NotReady => "the stores are being opened, or a worker is busy; ask again",
            Self::Busy => "another decision is being explained; ask again",
            Self::Unreadable => "what is stored or logged could not be read; the log of the process says why",
        };
        sentence.to_owned()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.code(), "detail": self.detail() });
        if let Self::HeldElsewhere { topic, partition } = &self {
            body["topic"] = json!(topic);
            body["partition"] = json!(partition);
        }
        let again = (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some([(RETRY_AFTER, "1")]);
        (self.status(), again, Json(body)).into_response()
    }
}
