//! What a person reads at the end of a demo: what a few customers did, what we say to them and why, when we are
//! silent; then the figures.

mod plot;
mod words;

use std::fmt::Write as _;

use crate::demo::{Diaries, Summary};
use plot::{Plot, plots};
use words::{Words, day};

/// The run in plain words.
pub(crate) fn tell(summary: &Summary, diaries: &Diaries) -> String {
    let words = Words::new(&diaries.products);
    let diaries: Vec<_> = diaries.whole().collect();
    let mut text = String::new();
    for plot in plots(&diaries) {
        text.push_str(&story(&plot, &words));
    }
    text.push_str(&figures(summary));
    text
}

fn story(plot: &Plot<'_>, words: &Words<'_>) -> String {
    let mut text = format!("{} {}\n", plot.customer(), plot.ending.title());
    let mut today = String::new();
    for (at, line) in plot.lines(words) {
        let date = day(at);
        if date != today {
            // Writing into a String does not fail.
            let _ = writeln!(text, "  {date}");
            today = date;
        }
        let _ = writeln!(text, "    {}  {line}", words::clock(at));
    }
    text.push('\n');
    text
}

fn figures(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!(
        "{} events: {} accepted, of which {} had come before; {} rejected{}.",
        summary.events,
        summary.accepted,
        summary.duplicates,
        summary.rejected,
        codes(summary)
    ));
    line(format!("{} times we had something to recommend.", summary.recommendations));
    line(format!(
        "{} carts were left: {} reminders, {} of them taken back after a purchase.",
        summary.abandoned_carts, summary.reminders, summary.taken_back
    ));
    line(format!("{} times we kept silent; each time the reason is written down.", summary.suppressions));
    if let (Some(truth), Some(missed), Some(false_alarms)) =
        (&summary.truth, summary.missed, summary.false_alarms)
    {
        line(format!(
            "The shop is made up, so the truth is known: {} carts were really left, {} were noticed; \
             {missed} missed, {false_alarms} false alarms.",
            truth.abandoned_carts, summary.abandoned_carts
        ));
    }
    line(format!("{}{} events a second{}.", first(summary), summary.events_per_second, memory(summary)));
    text
}

fn codes(summary: &Summary) -> String {
    let named: Vec<String> =
        summary.rejected_by_code.iter().map(|(code, count)| format!("{code} {count}")).collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}

fn first(summary: &Summary) -> String {
    summary.first_result_ms.map_or_else(String::new, |after| {
        format!("The first result after {}.{} s; ", after / 1_000, after % 1_000 / 100)
    })
}

fn memory(summary: &Summary) -> String {
    summary
        .peak_rss_bytes
        .map_or_else(String::new, |bytes| format!("; {} MB of memory at most", bytes / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Entry;
    use events::{
        AbandonedCart, CancelReason, Cart, CartAction, CartLine, CartOp, CartView, Cause, Event, EventKind,
        EventTime, Item, MINUTE, Order, Placement, ProfileKey, Reason, ReasonCode, Recommendation,
        RecommendedItem, Silence, Stage, Suppression, WouldHaveBeen,
    };

    /// 2026-03-14T09:00:00Z.
    const NINE: i64 = 1_773_478_800_000;

    fn at(minute: i64) -> EventTime {
        EventTime(NINE + minute * MINUTE)
    }

    fn did(minute: i64, kind: EventKind, product: &str) -> Entry {
        let product = product.to_owned();
        let name = Some(format!("Trail {product}"));
        let price_minor = Some(8990);
        let into_cart = kind == EventKind::CartItemAdded;
        Entry::Did(Box::new(Event {
            event_id: format!("e{minute}"),
            tenant: "shop".into(),
            user_id: Some("anna".into()),
            kind,
            event_time: at(minute),
            currency: Some("EUR".into()),
            items: vec![Item { product_id: product, name, price_minor, quantity: 1, ..Item::default() }],
            cart: into_cart.then_some(Cart {
                cart_id: None,
                op: CartOp::Add,
                total_minor: None,
                checkout_id: None,
                cart_url: None,
            }),
            order: (kind == EventKind::OrderCompleted).then(Order::default),
            ..Event::default()
        }))
    }

    fn cart(minute: i64, cancel_reason: Option<CancelReason>) -> Entry {
        let line =
            CartLine { product_id: "boots".into(), variant_id: None, quantity: 2, price_minor: Some(8990) };
        Entry::Cart(Box::new(AbandonedCart {
            decision_id: "d".into(),
            trigger_id: "t".into(),
            profile: ProfileKey::new("shop", "anna"),
            user_id: Some("anna".into()),
            action: cancel_reason.map_or(CartAction::Fire, |_| CartAction::Cancel),
            cancel_reason,
            version: 1,
            kind: Stage::Cart,
            step: 1,
            steps_total: 1,
            cart: CartView { cart_key: "anna".into(), lines: vec![line], total_minor: 0, currency: None },
            cart_fingerprint: "00".into(),
            last_activity_at: at(3),
            abandoned_at: at(33),
            fire_at: at(33),
            decided_at: at(minute),
            rule_version: "1".into(),
            reasons: Vec::new(),
        }))
    }

    fn silence(would_have_been: WouldHaveBeen, reason: Silence, trigger: Cause) -> Entry {
        Entry::Silence(Box::new(Suppression {
            decision_id: "s".into(),
            profile: ProfileKey::new("shop", "anna"),
            user_id: None,
            would_have_been,
            reason,
            trigger,
            rule_version: "1".into(),
            model_epoch: None,
        }))
    }

    fn shown(minute: i64, product: &str) -> Entry {
        let why = |code, source_event_ids| Reason { code, weight: 1.0, source_event_ids };
        let item = |rank, product: &str, reason| RecommendedItem {
            product_id: product.to_owned(),
            rank,
            score: 1.0,
            price_minor: None,
            currency: None,
            reasons: vec![reason],
        };
        Entry::Shown(Box::new(Recommendation {
            decision_id: "r".into(),
            profile: ProfileKey::new("shop", "anna"),
            user_id: None,
            placement: Placement::ForYou,
            trigger_event_id: format!("e{minute}"),
            trigger_kind: EventKind::ProductViewed,
            decided_at: at(minute),
            rule_version: "1".into(),
            model_epoch: None,
            items: vec![
                item(1, product, why(ReasonCode::SimilarSessions, vec![format!("e{minute}")])),
                item(2, "lamp", why(ReasonCode::Popular, Vec::new())),
            ],
            excluded: Vec::new(),
            valid_until: at(minute + 60),
        }))
    }

    fn filled() -> Vec<Entry> {
        vec![
            did(1, EventKind::ProductViewed, "boots"),
            did(2, EventKind::PageViewed, "boots"),
            did(3, EventKind::CartItemAdded, "boots"),
        ]
    }

    fn told(entries: impl IntoIterator<Item = Entry>) -> String {
        let mut diaries = Diaries::default();
        for entry in entries {
            if let Entry::Did(event) = &entry {
                diaries.learn(event);
            }
            diaries.write(b"shop|anna", entry);
        }
        let words = Words::new(&diaries.products);
        plots(&diaries.whole().collect::<Vec<_>>()).iter().map(|plot| story(plot, &words)).collect()
    }

    #[test]
    fn who_leaves_a_cart_is_reminded() {
        let text = told(filled().into_iter().chain([shown(3, "socks"), cart(33, None)]));
        assert_eq!(
            text,
            "anna leaves a cart, and is reminded of it
  Saturday, 14 March 2026
    09:01  looks at Trail boots (89.90 EUR)
    09:03  puts Trail boots (89.90 EUR) into the cart
    09:03  → we recommend socks, because others who looked at Trail boots went on to that
    09:03  → we recommend lamp, because many customers have been looking at that of late
    09:33  → we remind her of 2 × Trail boots (89.90 EUR) in the cart, because nothing has come from her since 09:03

"
        );
    }

    #[test]
    fn who_buys_after_all_is_not_reminded_or_not_any_more() {
        let bought = || filled().into_iter().chain([did(50, EventKind::OrderCompleted, "boots")]);
        let text = told(bought().chain([cart(33, None), cart(50, Some(CancelReason::Purchased))]));
        assert!(text.starts_with("anna buys after all, so the reminder is taken back\n"), "{text}");
        let end = "    09:50  buys Trail boots (89.90 EUR)
    09:50  → we take the reminder back, because something of that cart is bought now

";
        assert!(text.ends_with(end), "{text}");

        let about = WouldHaveBeen::AbandonedCart { trigger_id: "t".into(), step: 1 };
        let silence = silence(about, Silence::Purchased, Cause::Timer { due: at(33) });
        let text = told(bought().chain([silence]));
        assert!(text.starts_with("anna comes back late, but buys before anything is said\n"), "{text}");
        let end =
            "    09:50  → we do not remind her of the cart, because something of it is bought already\n\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn who_comes_back_in_time_hears_nothing() {
        let text = told(filled().into_iter().chain([did(20, EventKind::OrderCompleted, "boots")]));
        assert!(text.starts_with("anna goes away and comes back in time"), "{text}");
        assert!(text.contains("    09:20  → we say nothing: she was back before half an hour"), "{text}");
    }

    #[test]
    fn what_we_showed_first_and_she_bought_then_is_told_first() {
        let then = [shown(3, "socks"), did(5, EventKind::ProductViewed, "socks")];
        let text = told(filled().into_iter().chain(then).chain([did(6, EventKind::OrderCompleted, "socks")]));
        assert!(text.starts_with("anna buys what we recommended\n"), "{text}");
        assert!(text.contains("we recommend Trail socks (89.90 EUR), because others"), "{text}");
    }

    #[test]
    fn who_is_new_is_recommended_nothing() {
        let trigger =
            Cause::Event { event_id: "e1".into(), kind: EventKind::ProductViewed, event_time: at(1) };
        let about = WouldHaveBeen::Recommendation { placement: Placement::ForYou };
        let text = told(filled().into_iter().chain([silence(about, Silence::BelowFloor, trigger)]));
        assert!(text.contains("    09:01  → we recommend nothing, because we know nothing yet"), "{text}");
    }

    #[test]
    fn of_who_did_nothing_special_there_is_no_story() {
        assert_eq!(told(filled()), "");
    }
}
