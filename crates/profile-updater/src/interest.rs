use events::{Event, EventKind, Interest, ProfileUpdate, SessionEntry, SessionFact};

/// What item models can learn from an event: which products had this visit's attention, and how much of it.
///
/// An event outside of any visit that is still known teaches nothing.
pub(crate) fn entry(event: &Event, update: &ProfileUpdate) -> Option<SessionEntry> {
    let interest = interest_of(event.kind)?;
    let session = update.session.as_ref()?;
    let mut product_ids: Vec<String> = Vec::new();
    for item in &event.items {
        if !product_ids.contains(&item.product_id) {
            product_ids.push(item.product_id.clone());
        }
    }
    (!product_ids.is_empty()).then(|| SessionEntry {
        profile: update.profile.clone(),
        event_time: event.event_time,
        sequence: update.events,
        fact: SessionFact::Seen {
            session_id: session.session_id.clone(),
            event_id: event.event_id.clone(),
            interest,
            product_ids,
        },
    })
}

fn interest_of(kind: EventKind) -> Option<Interest> {
    match kind {
        EventKind::ProductViewed => Some(Interest::Viewed),
        EventKind::CartItemAdded | EventKind::WishlistAdded => Some(Interest::Added),
        EventKind::OrderCompleted => Some(Interest::Purchased),
        _ => None,
    }
}
