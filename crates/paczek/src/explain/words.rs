//! A decision in plain words.

use events::{
    AbandonedCart, CartAction, Cause, EventTime, ExclusionCode, Placement, Reason, ReasonCode,
    Recommendation, Silence, Suppression, WouldHaveBeen,
};
use recommender::Decision;

use super::Verdict;

/// A sentence each: what was decided, because of what, why, what was left out, whether it comes out again.
pub(super) fn tell(
    decision: &Decision,
    cause: Option<&Cause>,
    verdict: Verdict,
    bytes: usize,
) -> Vec<String> {
    let mut words = match decision {
        Decision::Recommendation(said) => recommendation(said),
        Decision::AbandonedCart(said) => abandoned_cart(said),
        Decision::Suppression(silence) => suppression(silence),
    };
    words.extend(cause.map(caused_by));
    words.push(match verdict.complaint() {
        None => format!("The log gives the same decision again, byte for byte ({bytes} bytes)."),
        Some(complaint) => format!("But {complaint}."),
    });
    words
}

impl Verdict {
    /// What keeps the decision from being what the log gives; `None` if nothing does.
    pub(crate) fn complaint(self) -> Option<&'static str> {
        match self {
            Self::Identical => None,
            Self::Different => Some(
                "the log gives another decision: it was changed, or made by another configuration or version",
            ),
            Self::UpdateGone => Some(
                "the update that caused it is not in profile-updates any more, so it cannot be made again",
            ),
            Self::SessionsGone => Some(
                "sessions does not hold any more what the item models had learned by then, so it cannot be made again",
            ),
        }
    }
}

fn recommendation(said: &Recommendation) -> Vec<String> {
    let mut words = vec![
        format!("{} is shown {} products {}.", said.profile, said.items.len(), place(said.placement)),
        models(said.model_epoch),
    ];
    words.extend(said.items.iter().map(|item| {
        format!("  {}. {}, score {:.3}: {}", item.rank, item.product_id, item.score, reasons(&item.reasons))
    }));
    let left_out = said.excluded.iter().map(|out| {
        let why = match out.code {
            ExclusionCode::Bought => "bought before",
            ExclusionCode::InCart => "in the cart already",
            ExclusionCode::OutOfStock => "out of stock",
        };
        format!("{} ({why})", out.product_id)
    });
    let left_out: Vec<String> = left_out.collect();
    if !left_out.is_empty() {
        words.push(format!("Relevant, but left out: {}.", left_out.join(", ")));
    }
    words.push(format!("It is good until {}, by the rules {}.", clock(said.valid_until), said.rule_version));
    words
}

fn abandoned_cart(said: &AbandonedCart) -> Vec<String> {
    let products: Vec<&str> = said.cart.lines.iter().map(|line| line.product_id.as_str()).collect();
    let about = format!("of the cart with {}", products.join(", "));
    let first = match said.action {
        CartAction::Fire => format!("{} is reminded {about}.", said.profile),
        CartAction::Update => format!("{} is reminded anew {about}.", said.profile),
        CartAction::Cancel => {
            format!("The reminder {about} is taken back for {}: something of it was bought.", said.profile)
        }
    };
    let left = format!(
        "The cart was last touched at {}, and counted as left at {}.",
        clock(said.last_activity_at),
        clock(said.abandoned_at)
    );
    vec![first, left]
}

fn suppression(silence: &Suppression) -> Vec<String> {
    let unsaid = match &silence.would_have_been {
        WouldHaveBeen::Recommendation { placement } => format!("no products {}", place(*placement)),
        WouldHaveBeen::AbandonedCart { step, .. } => format!("no reminder of the cart (step {step})"),
    };
    let why = match silence.reason {
        Silence::SpeakingOff => "this kind of speech was switched off",
        Silence::Backfill => "it was due before the time from which on anything is said (speak_after)",
        Silence::Stale => "it was due too long ago when it was decided (max_decision_age)",
        Silence::Purchased => "a product of the cart has been bought",
        Silence::Stock => "nothing of the cart can be had",
        Silence::BelowFloor => "nothing was relevant enough, or the cart is worth too little",
    };
    let mut words = vec![format!("{} gets {unsaid}: {why}.", silence.profile)];
    words.extend(silence.model_epoch.map(|epoch| models(Some(epoch))));
    words
}

fn caused_by(cause: &Cause) -> String {
    match cause {
        Cause::Event { event_id, kind, event_time } => {
            format!("It was decided because of event {event_id}, {} at {}.", kind.name(), clock(*event_time))
        }
        Cause::Timer { due } => {
            format!("It was decided because nothing had happened for long enough by {}.", clock(*due))
        }
    }
}

fn place(placement: Placement) -> &'static str {
    match placement {
        Placement::ForYou => "chosen for this customer (for_you)",
        Placement::SimilarUsers => "that similar visits went on to (similar_users)",
    }
}

fn models(epoch: Option<i64>) -> String {
    match epoch {
        Some(epoch) => {
            let second = EventTime(epoch.saturating_mul(events::SECOND));
            format!("The item models were those of {} (epoch {epoch}).", clock(second))
        }
        None => "The item models had learned nothing yet.".to_owned(),
    }
}

fn reasons(reasons: &[Reason]) -> String {
    let reason = |reason: &Reason| {
        let why = match reason.code {
            ReasonCode::SimilarSessions => "similar visits went on to it",
            ReasonCode::Popular => "it is popular of late",
            ReasonCode::Wished => "it is on the wish list",
            ReasonCode::CartLeft => "it was left in a cart",
        };
        let because = match reason.source_event_ids.as_slice() {
            [] => String::new(),
            ids => format!(", because of {}", ids.join(", ")),
        };
        format!("{why} ({:.3}{because})", reason.weight)
    };
    reasons.iter().map(reason).collect::<Vec<_>>().join("; ")
}

/// UTC, to the second.
fn clock(time: EventTime) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(
        |_| "an unknown time".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}
